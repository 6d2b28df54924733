// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Options.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

using namespace tessera;
using rt::Result;
using rt::Status;

const char *const run::usage =
    R"(Runs a Tessera artefact.

usage: tessera-run ARTEFACT [options]

  --device=NAME        cpu, emulated, null or cuda (default: the artefact's)
  --communicator=NAME  inprocess (default)
  --threads=N          of all devices together (default: all usable cores)
  --timeout-ms=N       longest wait for a device or a peer (default: 60000)
  --inputs=A,B,...     .npy files, one per input, or 'random' (default)
  --outputs=PREFIX     writes outputs to PREFIX0.npy, PREFIX1.npy, ...
  --seed=N             of random inputs (default: 0)
  --repeat=N           runs N times and shows least and median time
  --print              shows up to 64 elements per tensor instead of 4
  --profile            measures each step; on the emulated device also counts
                       the 32-byte sectors that the accesses of warps touch
  --info               shows mesh, inputs, outputs, kernels; runs nothing
  --help
)";

/// As everywhere that threads are asked for.
constexpr int64_t maxThreads = 1024;

static Status readInteger(const std::string &name, const std::string &text,
                          int64_t least, int64_t &value,
                          int64_t most = INT64_MAX) {
  char *end = nullptr;
  errno = 0;
  value = std::strtoll(text.c_str(), &end, 10);
  if (!text.empty() && !*end && !errno && value >= least && value <= most)
    return Status::success();
  std::string range = most == INT64_MAX ? "of at least " + std::to_string(least)
                                        : "from " + std::to_string(least) +
                                              " to " + std::to_string(most);
  return Status::error("--" + name + " needs an integer " + range + ", got '" +
                       text + "'");
}

static std::vector<std::string> splitAtCommas(const std::string &text) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin <= text.size();) {
    size_t end = std::min(text.find(',', begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

/// Whether the usage lists an option of this name that takes a value.
static bool hasOption(const std::string &name) {
  return std::strstr(run::usage, ("\n  --" + name + "=").c_str()) != nullptr;
}

static bool isFlag(const std::string &name) {
  return name == "print" || name == "profile" || name == "info" ||
         name == "help";
}

/// `value` is empty for flags.
static Status setOption(run::Options &options, const std::string &name,
                        const std::string &value) {
  int64_t number = 0;
  Status status = Status::success();
  if (name == "device") {
    options.executable.device = value;
  } else if (name == "communicator") {
    options.executable.communicator = value;
  } else if (name == "threads") {
    status = readInteger(name, value, 0, number, maxThreads);
    options.executable.threads = static_cast<int>(number);
  } else if (name == "timeout-ms") {
    status = readInteger(name, value, 1, options.executable.timeoutMs);
  } else if (name == "inputs") {
    if (value != "random")
      options.inputs = splitAtCommas(value);
  } else if (name == "outputs") {
    options.outputPrefix = value;
  } else if (name == "seed") {
    status = readInteger(name, value, 0, number);
    options.seed = static_cast<uint64_t>(number);
  } else if (name == "repeat") {
    status = readInteger(name, value, 1, options.repeat);
  } else if (name == "print") {
    options.maxShown = 64;
  } else if (name == "profile") {
    options.executable.profile = true;
  } else if (name == "info") {
    options.info = true;
  } else {
    options.help = true;
  }
  return status;
}

Result<run::Options> run::parseOptions(int argc, char **argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    std::string argument = argv[i];
    if (argument.rfind("--", 0) != 0) {
      if (!options.artefact.empty())
        return Status::error("one artefact at a time, got '" +
                             options.artefact + "' and '" + argument + "'");
      options.artefact = argument;
      continue;
    }
    size_t equals = argument.find('=');
    std::string name = argument.substr(2, equals - 2);
    if (!isFlag(name) && !hasOption(name))
      return Status::error("unknown option '" + argument +
                           "'; --help lists the options");
    std::string value;
    if (isFlag(name) && equals != std::string::npos)
      return Status::error("--" + name + " takes no value, got '" + argument +
                           "'");
    if (equals != std::string::npos)
      value = argument.substr(equals + 1);
    else if (!isFlag(name) && i + 1 < argc)
      value = argv[++i];
    else if (!isFlag(name))
      return Status::error("--" + name + " needs a value");
    Status status = setOption(options, name, value);
    if (!status.ok())
      return status;
  }
  if (options.artefact.empty() && !options.help)
    return Status::error("no artefact given; usage: tessera-run ARTEFACT "
                         "[options], or --help");
  return options;
}
