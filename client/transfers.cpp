#include "client/transfers.h"

#include <unistd.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace ds::client {
namespace {

constexpr std::chrono::milliseconds kPause{100};

const char* words(Transfer::Phase phase) {
  switch (phase) {
    case Transfer::kHashing:
      return "reading";
    case Transfer::kUploading:
      return "uploading";
    default:
      return "downloading";
  }
}

}  // namespace

std::string transfer_line(const Transfer& transfer) {
  constexpr double kMiB = 1 << 20;
  const double done = static_cast<double>(transfer.done), total = static_cast<double>(transfer.total);
  return absl::StrFormat("%s %s %3.0f%%  %.1f of %.1f MiB", words(transfer.phase),
                         std::filesystem::path(transfer.path).filename().string(), total > 0 ? 100 * done / total : 100,
                         done / kMiB, total / kMiB);
}

Transfers::Transfers(FILE* out) : out_(out), terminal_(isatty(fileno(out)) == 1) {}

Transfers::~Transfers() { end_line(); }

void Transfers::end_line() {
  if (open_) std::fputs("\n", out_);
  open_ = false;
}

void Transfers::show(const Transfer& transfer) {
  if (!terminal_) return;
  const bool another = transfer.path != last_.path || transfer.phase != last_.phase;
  const bool over = transfer.done == transfer.total;
  const auto now = Steady::now();
  if (!another && !over && now - shown_ < kPause) return;
  if (another && transfer.path != last_.path) end_line();
  last_ = transfer;
  shown_ = now;
  absl::FPrintF(out_, "\r%s\033[K", transfer_line(transfer));
  open_ = true;
  std::fflush(out_);
}

}  // namespace ds::client
