#include "engine/comm/ucx/address.h"

#include <unistd.h>

#include <cstring>
#include <fstream>

#include "engine/comm/communicator.h"

namespace ds::comm {
namespace {

constexpr char kMagic[] = "ds-ucx-1";

void put(std::string& to, const void* data, size_t bytes) {
  const uint32_t n = static_cast<uint32_t>(bytes);
  to.append(reinterpret_cast<const char*>(&n), sizeof n);
  to.append(static_cast<const char*>(data), bytes);
}

class Reader {
 public:
  explicit Reader(const std::string& from) : from_(from) {}
  std::string next() {
    uint32_t n = 0;
    if (from_.size() - at_ < sizeof n) fail();
    std::memcpy(&n, from_.data() + at_, sizeof n);
    at_ += sizeof n;
    if (from_.size() - at_ < n) fail();
    at_ += n;
    return from_.substr(at_ - n, n);
  }
  template <class T>
  void next(T& value) {
    const std::string bytes = next();
    if (bytes.size() != sizeof value) fail();
    std::memcpy(&value, bytes.data(), sizeof value);
  }
  [[noreturn]] void fail() const {
    throw CommError("[connect] an address of " + std::to_string(from_.size()) + " bytes is not one of transport ucx");
  }

 private:
  const std::string& from_;
  size_t at_ = 0;
};

}  // namespace

std::string UcxAddress::encode() const {
  std::string bytes;
  put(bytes, kMagic, sizeof kMagic);
  for (const std::string* s : {&host, &worker, &control, &cores}) put(bytes, s->data(), s->size());
  put(bytes, &token, sizeof token);
  put(bytes, &pid, sizeof pid);
  put(bytes, &shares, sizeof shares);
  return bytes;
}

UcxAddress UcxAddress::decode(const std::string& bytes) {
  Reader reader(bytes);
  if (reader.next() != std::string(kMagic, sizeof kMagic)) reader.fail();
  UcxAddress a;
  a.host = reader.next();
  a.worker = reader.next();
  a.control = reader.next();
  a.cores = reader.next();
  reader.next(a.token);
  reader.next(a.pid);
  reader.next(a.shares);
  return a;
}

// Processes map each other's memory by process id, so another PID namespace is another host.
std::string this_host() {
  std::string boot;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> boot;
  char name[256] = "", space[64] = "";
  gethostname(name, sizeof name - 1);
  if (readlink("/proc/self/ns/pid", space, sizeof space - 1) < 0) space[0] = '\0';
  return boot.empty() ? std::string(name) + "/" + space : boot + "/" + space;
}

}  // namespace ds::comm
