// What the C++ peers share: the clock, the peak memory and the JSON line that run.py reads.
#pragma once

#include <array>
#include <cstddef>
#include <ctime>
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

namespace bench {

constexpr int bins = 36; // m4l in [70, 180) GeV, as published

// Selected events and their four-lepton mass, with under- and overflow.
struct Channel {
  long selected = 0;
  std::array<long, bins + 2> mass{};
};

struct Counts {
  long events = 0;
  std::map<std::string, Channel> channels;
};

// CPU seconds (user + system, all threads) since this process was made.
inline double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

inline double wall_seconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// VmHWM, because ru_maxrss of a child starts from that of the process that made it.
inline double peak_rss_mb() {
  std::ifstream status("/proc/self/status");
  std::string word;
  while (status >> word) {
    if (word == "VmHWM:") {
      double kilobytes = 0;
      status >> kilobytes;
      return kilobytes / 1024;
    }
  }
  return 0;
}

inline std::string to_json(const Counts &counts) {
  std::ostringstream out;
  out << "{\"events\": " << counts.events << ", \"channels\": {";
  const char *between = "";
  for (const auto &[name, channel] : counts.channels) {
    out << between << "\"" << name << "\": {\"selected\": " << channel.selected << ", \"m4l\": [";
    for (std::size_t bin = 0; bin < channel.mass.size(); ++bin)
      out << (bin ? ", " : "") << channel.mass[bin];
    out << "]}";
    between = ", ";
  }
  out << "}}";
  return out.str();
}

// argv: the tiny file of the first pass, then (optional) the file of the measured one.
template <typename Analyse> int measure(int argc, char **argv, Analyse analyse) {
  if (argc < 2) {
    std::cerr << "usage: " << argv[0] << " TINY [FILE]\n";
    return 2;
  }
  const Counts tiny = analyse(argv[1]);
  std::cout.precision(9);
  std::cout << "{\"start_cpu_s\": " << cpu_seconds() << ", \"tiny\": " << to_json(tiny);
  if (argc > 2) {
    const double cpu = cpu_seconds();
    const double wall = wall_seconds();
    const Counts counts = analyse(argv[2]);
    std::cout << ", \"loop_cpu_s\": " << cpu_seconds() - cpu
              << ", \"loop_wall_s\": " << wall_seconds() - wall << ", \"counts\": " << to_json(counts);
  }
  std::cout << ", \"peak_rss_mb\": " << peak_rss_mb() << "}" << std::endl;
  return 0;
}

} // namespace bench
