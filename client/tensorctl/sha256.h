// SHA-256 of bytes that come piece by piece.
#pragma once

#include <memory>
#include <string>

#include "absl/strings/string_view.h"

struct evp_md_ctx_st;  // OpenSSL's EVP_MD_CTX.

namespace tensord::ctl {

class Sha256 {
 public:
  Sha256();
  ~Sha256();

  void Update(absl::string_view bytes);

  // 64 lower-case hex digits; empty where OpenSSL failed, which equals no digest. Once.
  std::string Finish();

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
  bool ok_;
};

}  // namespace tensord::ctl
