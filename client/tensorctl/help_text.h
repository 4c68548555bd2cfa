// What --help says besides the options.
#pragma once

namespace tensord::ctl {

inline constexpr char kAbout[] =
    "tensorctl looks into the models of a tensord server, and fetches tensors, slices and files.";

inline constexpr char kFooter[] =
    "TENSOR[SLICE] is a tensor's name, perhaps with a numpy-style index: 'wte.weight[0:128, ::2, "
    "-1]'.\n"
    "If the whole text is a tensor's name it is that, else it splits at the last '['. Quote it.\n"
    "PATTERN is a glob: * any text, ? a character, {a,b} either, {0..7} a number.\n"
    "\n"
    "Exit codes:\n"
    "  0  done\n"
    "  1  what was asked failed: a bad file, an unknown model or tensor, a bad slice, a full disk\n"
    "  2  the command line is wrong\n"
    "  3  the server cannot be reached or does not serve now\n"
    "  4  --timeout ended the command\n"
    "\n"
    "Names and metadata are shown with control characters escaped. NO_COLOR is honoured.\n"
    "tensorctl COMMAND --help shows a command's options and examples.";

inline constexpr char kModelsExamples[] =
    "Examples:\n"
    "  tensorctl models\n"
    "  tensorctl models 'meta-llama/*'\n"
    "  tensorctl --server unix:///run/tensord/tensord.sock models --json | jq -r '.[].id'";

inline constexpr char kLsExamples[] =
    "Examples:\n"
    "  tensorctl ls gpt2\n"
    "  tensorctl ls gpt2 'h.{0..3}.attn.*'\n"
    "  tensorctl ls gpt2 --dtype F32 --dtype BF16 --offset-order\n"
    "  tensorctl ls gpt2 --json | jq 'map(.size_bytes) | add'";

inline constexpr char kShowExamples[] =
    "Long metadata values are cut, unless --key or --json asks for them.\n"
    "\n"
    "Examples:\n"
    "  tensorctl show gpt2\n"
    "  tensorctl show gpt2 wte.weight\n"
    "  tensorctl show lora --key ss_tag_frequency";

inline constexpr char kPeekExamples[] =
    "Without a slice: a corner, the first 8 positions of the last two dimensions. At most 4,096 "
    "values.\n"
    "\n"
    "Examples:\n"
    "  tensorctl peek gpt2 wte.weight\n"
    "  tensorctl peek gpt2 'wte.weight[-1, :4]'\n"
    "  tensorctl peek gpt2 h.0.ln_1.bias --shard 0:1/2 --json | jq .values";

inline constexpr char kGetExamples[] =
    "The file's name says the format: .npy (numpy's dtypes only), .safetensors (every dtype; one\n"
    "tensor with its name), .bin (raw bytes, little-endian, row-major); - is raw bytes on "
    "standard\n"
    "output. The file appears under its name when it is complete, before that as FILE.partial.\n"
    "\n"
    "Examples:\n"
    "  tensorctl get gpt2 wte.weight -o wte.npy\n"
    "  tensorctl get gpt2 'wte.weight[0:128, ::-1]' -o rows.safetensors\n"
    "  tensorctl get gpt2 wte.weight --shard 0:1/2,multiple=64 -o rank1.bin\n"
    "  tensorctl get gpt2 wpe.weight -o - | sha256sum";

inline constexpr char kPullExamples[] =
    "Files appear under their names when they are complete, before that as FILE.partial. A digest "
    "that\n"
    "a Hugging Face cache knows is checked. A pull that ended early, killed or without a server, "
    "goes on\n"
    "where it was when the same command is run again; DIR/.tensorctl-pull.json remembers what it "
    "has.\n"
    "If the model was replaced in between, that is an error: --restart drops what there is.\n"
    "\n"
    "Examples:\n"
    "  tensorctl pull gpt2 ./gpt2\n"
    "  tensorctl pull gpt2 ./gpt2 --include '*.json' --include 'model-00001-*'\n"
    "  tensorctl pull gpt2 ./gpt2 --restart";

inline constexpr char kBenchExamples[] =
    "Reads into memory and throws it away: large reads for the rate, then reads of 4 KiB, one at a "
    "time\n"
    "and with --streams at once, for the latency. Each row takes --seconds. The memory needed is "
    "--size\n"
    "for each of --streams. What was read once comes out of the server's page cache.\n"
    "\n"
    "Examples:\n"
    "  tensorctl bench\n"
    "  tensorctl bench gpt2 wte.weight --streams 8 --connections 2\n"
    "  tensorctl bench --seconds 30 --size 16MiB --json | jq .loads";

inline constexpr char kProbeExamples[] =
    "For health checks without a shell. Waits a second for a connection and another for the answer,"
    "\n"
    "or --timeout where that is less.\n"
    "\n"
    "Exit codes, as grpc-health-probe's: 0 serving; 1 the command line is wrong; 2 no connection;\n"
    "3 the call failed; 4 not serving.\n"
    "\n"
    "Examples:\n"
    "  tensorctl --server unix:///run/tensord/tensord.sock probe\n"
    "  tensorctl probe --service ''";

inline constexpr char kCheckExamples[] =
    "Needs no server. One line each: `PATH: OK` or `PATH: ErrorVariant: reason`; exit code 1 if "
    "any is\n"
    "bad. Directories are walked for *.safetensors; a checkpoint there that lacks a shard, or a\n"
    "tensor of its index, has a line more. --json prints one object a line:\n"
    "path, ok, error, message, tensors.\n"
    "\n"
    "Examples:\n"
    "  tensorctl check model.safetensors\n"
    "  tensorctl check ~/.cache/huggingface/hub --json | jq 'select(.ok | not)'";

}  // namespace tensord::ctl
