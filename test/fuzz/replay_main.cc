// SPDX-License-Identifier: GPL-2.0-or-later
// Runs a fuzz target over the seeds in its folders, over the shared inputs, and over simple mutations of each.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <random>

#include "test/corpus/corpus.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size);

namespace {

using sipalg::test::Sample;

constexpr int mutations_of_each = 40;

void run(std::string_view text) {
  const sipalg::test::Exact exact(text);
  static_cast<void>(LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(exact.view().data()), exact.view().size()));
}

void run_mutations(const Sample& sample, std::mt19937& random) {
  for (int i = 0; i < mutations_of_each && !sample.bytes.empty(); ++i) {
    std::string text = sample.bytes;
    const std::size_t at = random() % text.size();
    if (i % 4 == 0) {
      text.resize(at);
    } else if (i % 4 == 1) {
      text[at] = static_cast<char>(random());
    } else if (i % 4 == 2) {
      text.erase(at, random() % 16);
    } else {
      text.insert(at, text.substr(random() % text.size(), random() % 32));
    }
    run(text);
  }
}

std::vector<Sample> samples_of(int argc, char** argv) {
  std::vector<Sample> samples = sipalg::test::read_captures();
  for (const char* folder : {"rfc3665", "rfc4475", "rfc5118", "kamailio", "libosip2"})
    for (Sample& sample : sipalg::test::read_folder(folder)) samples.push_back(std::move(sample));
  for (int i = 1; i < argc; ++i)
    if (std::filesystem::is_directory(argv[i]))
      for (const auto& entry : std::filesystem::directory_iterator(argv[i]))
        samples.push_back({entry.path().filename().string(), sipalg::test::read_file(entry.path())});
  return samples;
}

}  // namespace

int main(int argc, char** argv) {
  const auto samples = samples_of(argc, argv);
  std::mt19937 random(1);
  run("");
  for (const Sample& sample : samples) {
    run(sample.bytes);
    run_mutations(sample, random);
  }
  std::printf("%zu inputs and %d mutations of each\n", samples.size(), mutations_of_each);
}
