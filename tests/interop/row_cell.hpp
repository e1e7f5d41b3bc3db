// A test of one cell of the matrix: an implementation from one of the two lists, and a value of a
// column.
#pragma once

#include "matrix.hpp"

namespace streamkit::testing {

/// `Who` is OtherClient or OtherServer.
template <class Who>
struct CellOf {
  const Who* who;
  std::string value;
};

/// None for an implementation that is no package of Debian's, where it is missing.
template <class Who>
std::vector<CellOf<Who>> cells_of(const Who& who, const std::vector<std::string>& values) {
  std::vector<CellOf<Who>> out;
  if (who.is_optional && !missing(who.needs).empty()) return out;
  for (const std::string& value : values) out.push_back({&who, value});
  return out;
}

template <class Who>
std::string cell_name(const ::testing::TestParamInfo<CellOf<Who>>& info) {
  return info.param.value.empty() ? info.param.who->name : value_name(info.param.value);
}

template <class Who>
void PrintTo(const CellOf<Who>& cell, std::ostream* out) {
  *out << cell.who->name << " " << cell.value;
}

template <class Who>
class RowCell : public ::testing::TestWithParam<CellOf<Who>> {
 protected:
  explicit RowCell(std::string role) : role_(std::move(role)) {}

  const Who& who() const { return *this->GetParam().who; }
  const std::string& value() const { return this->GetParam().value; }

  /// Whether the test goes on; what it needs may be missing, or be beyond the other side.
  bool begin(const std::string& column, const std::string& name) {
    cell(who().name, role_, column, name);
    const auto lack = who().lacks.find(column + " " + name);
    if (lack != who().lacks.end()) not_supported(lack->second);
    missing_ = missing(who().needs);
    if (!missing_.empty()) this->RecordProperty("missing", missing_);
    return lack == who().lacks.end() && missing_.empty();
  }

  std::string missing_;

 private:
  std::string role_;
};

#define SK_BEGIN(column, name)                       \
  if (!begin(column, name)) {                        \
    if (!missing_.empty()) GTEST_SKIP() << missing_; \
    return;                                          \
  }

}  // namespace streamkit::testing
