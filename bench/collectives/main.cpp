// all_reduce of f32 against Open MPI and Gloo, in turn, and against the floor that memory bandwidth sets.
// Usage: bench_collectives [--json] [--rounds N] [--ranks N] [--size 1KiB|16KiB|...] [--algorithm NAME] [--heap]
// [--ours]
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

struct Size {
  const char* name;
  size_t bytes;
  int calls, samples;  // a round
};
constexpr Size kSizes[] = {{"1KiB", 1 << 10, 200, 9},
                           {"16KiB", 16 << 10, 100, 9},
                           {"1MiB", 1 << 20, 20, 7},
                           {"16MiB", 16 << 20, 4, 5},
                           {"64MiB", 64 << 20, 1, 5}};
constexpr size_t kFloorBytes = 64 << 20;

struct Settings {
  bool json = false, heap = false, alone = false;
  int rounds = 5;
  std::string algorithm, only;
  std::vector<int> ranks{2, 4};
};

double median(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return v[v.size() / 2];
}

// One library's ranks, started once and asked many times.
class Ranks {
 public:
  Ranks(const std::string& name, int size, const Settings& settings) : size_(size) {
    std::string path = (fs::temp_directory_path() / "bench_collectives.XXXXXX").string();
    if (!mkdtemp(path.data())) throw std::runtime_error("no temporary folder");
    folder_ = path;
    for (int r = 0; r < size; ++r) make_pipe("in." + std::to_string(r));
    make_pipe("out");
    const std::string program =
        (fs::read_symlink("/proc/self/exe").parent_path() / ("bench_collectives_" + name)).string();
    if (name == "openmpi") {
      start({"mpirun", "--allow-run-as-root", "--oversubscribe", "-np", std::to_string(size), program, folder_});
    } else {
      for (int r = 0; r < size; ++r) {
        start({program, folder_, std::to_string(r), std::to_string(size), name == "ours" ? settings.algorithm : "",
               settings.heap ? "heap" : ""});
      }
    }
    for (int r = 0; r < size; ++r) in_.push_back(std::make_unique<std::ofstream>(folder_ + "/in." + std::to_string(r)));
    out_.open(folder_ + "/out");
  }
  ~Ranks() {
    for (auto& in : in_) *in << "quit" << std::endl;
    for (pid_t child : children_) waitpid(child, nullptr, 0);
    fs::remove_all(folder_);
  }
  Ranks(const Ranks&) = delete;
  Ranks& operator=(const Ranks&) = delete;

  struct Answer {
    double median = 0, least = 0;
  };
  Answer ask(const std::string& command) {
    for (auto& in : in_) *in << command << std::endl;
    std::string answer;
    if (!std::getline(out_, answer)) throw std::runtime_error("a rank has died at: " + command);
    Answer value;
    std::istringstream(answer) >> value.median >> value.least;
    return value;
  }

 private:
  void make_pipe(const std::string& name) {
    if (mkfifo((folder_ + "/" + name).c_str(), 0600) != 0) throw std::runtime_error("mkfifo " + name + " failed");
  }
  void start(const std::vector<std::string>& words) {
    std::vector<char*> arguments;
    for (const std::string& w : words) arguments.push_back(const_cast<char*>(w.c_str()));
    arguments.push_back(nullptr);
    const pid_t child = fork();
    if (child == 0) {
      const int null = open("/dev/null", O_RDWR);
      dup2(null, 0);
      dup2(2, 1);  // whatever a library prints is no part of the table
      execvp(arguments[0], arguments.data());
      _exit(127);
    }
    children_.push_back(child);
  }

  int size_;
  std::string folder_;
  std::vector<pid_t> children_;
  std::vector<std::unique_ptr<std::ofstream>> in_;
  std::ifstream out_;
};

// Times of one library at one case: a median and the least, over all rounds.
struct Times {
  std::vector<double> medians;
  double least = 1e300;
  void add(Ranks::Answer a) {
    medians.push_back(a.median);
    least = std::min(least, a.least);
  }
};

void print(const Settings& settings, const std::string& name, const Times& ours, const std::string& peer,
           const Times& theirs, const std::string& more = "") {
  const double mine = median(ours.medians), other = median(theirs.medians);
  if (settings.json) {
    std::printf(
        "{\"bench\": \"collectives\", \"case\": \"%s\", \"ours\": %.3f, \"peer\": \"%s\", \"peer_value\": %.3f, "
        "\"unit\": \"us\", \"ratio\": %.4f, \"ours_least\": %.3f, \"peer_least\": %.3f%s}\n",
        name.c_str(), mine, peer.c_str(), other, mine / other, ours.least, theirs.least, more.c_str());
  } else {
    std::printf("%-34s ours %10.2f (least %10.2f) us   %-8s %10.2f (least %10.2f) us   ratio %.3f%s\n", name.c_str(),
                mine, ours.least, peer.c_str(), other, theirs.least, mine / other, more.c_str());
  }
  std::fflush(stdout);
}

void measure(int size, const std::vector<std::string>& peers, const Settings& settings) {
  Ranks ours("ours", size, settings);
  std::vector<std::unique_ptr<Ranks>> others;
  for (const std::string& p : peers) others.push_back(std::make_unique<Ranks>(p, size, settings));

  for (const Size& s : kSizes) {
    const std::string command =
        "all_reduce " + std::to_string(s.bytes) + " " + std::to_string(s.calls) + " " + std::to_string(s.samples);
    if (!settings.only.empty() && settings.only != s.name) continue;
    Times mine, floor;
    std::vector<double> fractions;
    std::vector<Times> theirs(peers.size());
    for (int round = 0; round < settings.rounds; ++round) {
      mine.add(ours.ask(command));
      for (size_t p = 0; p < peers.size(); ++p) theirs[p].add(others[p]->ask(command));
      if (s.bytes != kFloorBytes) continue;
      // Beside a time of its own moment: the machine's speed drifts.
      const Ranks::Answer now = ours.ask(command);
      const double bandwidth = ours.ask("bandwidth " + std::to_string(s.bytes) + " 5").median;
      const double microseconds = 2.0 * size * static_cast<double>(s.bytes) / bandwidth / 1e3;
      mine.add(now);
      floor.add({microseconds, microseconds});
      fractions.push_back(microseconds / now.median);
    }
    const std::string name = std::string("all_reduce f32 ") + s.name + " ranks=" + std::to_string(size);
    for (size_t p = 0; p < peers.size(); ++p) print(settings, name, mine, peers[p], theirs[p]);
    if (peers.empty()) print(settings, name, mine, "nobody", mine);
    if (s.bytes != kFloorBytes) continue;
    char more[128];
    std::snprintf(more, sizeof more, ", \"bandwidth_gb_per_s\": %.2f, \"fraction_of_floor\": %.3f",
                  2.0 * size * static_cast<double>(s.bytes) / median(floor.medians) / 1e3, median(fractions));
    print(settings, name + " against 2NS/bandwidth", mine, "floor", floor, more);
  }
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--json") settings.json = true;
    if (word == "--heap") settings.heap = true;
    if (word == "--rounds" && i + 1 < argc) settings.rounds = std::max(1, std::atoi(argv[++i]));
    if (word == "--algorithm" && i + 1 < argc) settings.algorithm = argv[++i];
    if (word == "--size" && i + 1 < argc) settings.only = argv[++i];
    if (word == "--ranks" && i + 1 < argc) settings.ranks = {std::max(1, std::atoi(argv[++i]))};
    if (word == "--ours") settings.alone = true;
  }
  const fs::path here = fs::read_symlink("/proc/self/exe").parent_path();
  std::vector<std::string> peers;
  for (const char* peer : {"openmpi", "gloo"}) {
    if (settings.alone) {
      continue;
    } else if (fs::exists(here / (std::string("bench_collectives_") + peer))) {
      peers.emplace_back(peer);
    } else {
      std::fprintf(stderr, "bench_collectives: %s was absent when this was built\n", peer);
    }
  }
  try {
    for (int size : settings.ranks) measure(size, peers, settings);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "bench_collectives: %s\n", e.what());
    return 1;
  }
  return 0;
}
