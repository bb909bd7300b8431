// The little that a test program needs: expectations that count, and an exit code.
#pragma once
#include <cstdio>
#include <exception>
#include <string>

namespace headzip::test {

inline int failures = 0, expectations = 0;

inline void expect(bool holds, const std::string& what) {
  constexpr int kMostTold = 20;
  ++expectations;
  if (holds || ++failures > kMostTold) return;
  std::fprintf(stderr, "does not hold: %s\n", what.c_str());
}

// Whether `call` throws an E whose message ends with `ending`.
template <typename E, typename Call>
void refused(Call&& call, const std::string& ending, const std::string& what) {
  std::string said;
  try {
    call();
  } catch (const E& e) {
    said = e.what();
  } catch (const std::exception& e) {
    return expect(false, what + " is another kind of error: " + e.what());
  }
  const bool ends = said.size() >= ending.size() && said.compare(said.size() - ending.size(), ending.size(), ending) == 0;
  expect(!said.empty() && ends, what + " is refused; it said '" + said + "'");
}

inline int report(int checks) {
  std::printf("%d checked, %d failed\n", checks, failures);
  return failures == 0 ? 0 : 1;
}

}  // namespace headzip::test
