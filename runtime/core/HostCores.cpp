// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera-rt/HostCores.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <sched.h>
#include <sstream>

using namespace tessera::rt;

int tessera::rt::coresOfQuota(const std::string &text) {
  std::istringstream words(text);
  double quota = 0, period = 0;
  // "max 100000" has no number.
  if (!(words >> quota >> period) || quota <= 0 || period <= 0)
    return 0;
  return std::max(1, static_cast<int>((quota + period - 1) / period));
}

static std::string readText(const std::string &path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

/// The smallest quota from the process's control group up to the root, in
/// version 2 ("0::/path" in /proc/self/cgroup); 0 when there is none. The root
/// is looked at in any case: inside a container it is the container's.
static int quotaOfControlGroups() {
  std::string path;
  std::istringstream lines(readText("/proc/self/cgroup"));
  for (std::string line; std::getline(lines, line);)
    if (line.rfind("0::", 0) == 0)
      path = line.substr(3);
  int least = 0;
  while (true) {
    int cores = coresOfQuota(readText("/sys/fs/cgroup" + path + "/cpu.max"));
    if (cores > 0 && (least == 0 || cores < least))
      least = cores;
    size_t slash = path.rfind('/');
    if (slash == std::string::npos)
      break;
    path.resize(slash);
  }
  // Version 1.
  int cores = coresOfQuota(readText("/sys/fs/cgroup/cpu/cpu.cfs_quota_us") +
                           readText("/sys/fs/cgroup/cpu/cpu.cfs_period_us"));
  return cores > 0 && (least == 0 || cores < least) ? cores : least;
}

int tessera::rt::usableCores() {
  static const int cores = [] {
    cpu_set_t set;
    int allowed =
        sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    int quota = quotaOfControlGroups();
    return std::max(1, quota > 0 ? std::min(allowed, quota) : allowed);
  }();
  return cores;
}

Result<int> tessera::rt::defaultThreads() {
  const char *text = std::getenv("TESSERA_NUM_THREADS");
  if (!text || !*text)
    return usableCores();
  char *end = nullptr;
  errno = 0;
  long threads = std::strtol(text, &end, 10);
  if (*end || errno != 0 || threads < 1 || threads > 1024)
    return Status::error(std::string("TESSERA_NUM_THREADS is '") + text +
                         "'; expected a number from 1 to 1024");
  return static_cast<int>(threads);
}
