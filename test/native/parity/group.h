// A group of cases: one line of the report, with the largest error among them.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "rig.h"

namespace headzip::parity {

// What a case expects, and by how much each value may differ.
struct Expected {
  std::vector<double> values, bounds;
  void add(double value, double bound) {
    values.push_back(value);
    bounds.push_back(bound);
  }
};

class Group {
 public:
  explicit Group(std::string name) : name_(std::move(name)) {}
  ~Group();  // prints the line
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;
  // One case. A value is right within its bound, or where it and what is expected are the same infinity or both NaN.
  void compare(const std::string& what, std::span<const float> got, const Expected& expected);
  void same(const std::string& what, std::span<const float> got, std::span<const float> expected);
  void expect(bool holds, const std::string& what);

 private:
  void fail(const std::string& what);

  std::string name_;
  int cases_ = 0, failed_ = 0;
  double error_ = 0, share_ = 0;  // largest error, and largest share of its bound that one had
};

// Groups that failed so far.
int failures();

// The groups, by operation.
void embed_cases(Rig& rig);
void linear_cases(Rig& rig);
void norm_cases(Rig& rig);
void rope_cases(Rig& rig);
void mlp_cases(Rig& rig);
void row_cases(Rig& rig);
void argmax_cases(Rig& rig);
void finite_cases(Rig& rig);
void memory_cases(Rig& rig);
void attention_cases(Rig& rig);
void window_cases(Rig& rig);
void score_cases(Rig& rig);
void score_weight_cases(Rig& rig);
void decode_cases(Rig& rig);
void append_cases(Rig& rig);
void kv_layer_cases(Rig& rig);

}  // namespace headzip::parity
