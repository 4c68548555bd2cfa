// The image's one executable: called as tensorctl it is that, else tensord. Two executables would
// each hold gRPC, and the image would be a third larger.
#include <string_view>

int tensord_main(int argc, char** argv);    // server/main.cc
int tensorctl_main(int argc, char** argv);  // client/tensorctl/main.cc

namespace {

std::string_view FileName(std::string_view path) {
  return path.substr(path.find_last_of('/') + 1);  // npos + 1 is 0: the whole path.
}

}  // namespace

int main(int argc, char** argv) {
  const bool is_tensorctl = argc > 0 && FileName(argv[0]) == "tensorctl";
  return is_tensorctl ? tensorctl_main(argc, argv) : tensord_main(argc, argv);
}
