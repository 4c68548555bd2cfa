// Decoded values as people read an array: rows of its last dimension, matrices of its last two.
#pragma once

#include <string>
#include <vector>

#include "client/tensorctl/console.h"
#include "tensord/peek_result.h"

namespace tensord::ctl {

// One text for each element: "0.125", "-3", "true" (BOOL), "1+2j" (C64). Floating-point values have
// 6 digits; JSON has them all.
std::vector<std::string> ValueTexts(const PeekResult& result);

// The same for programs. C64 is [re, im], BOOL a number; NaN and infinities, which JSON lacks, are
// the strings "NaN", "Infinity" and "-Infinity".
Json ValuesJson(const PeekResult& result);

// Lines; beyond two dimensions each matrix stands under its indices, as "[0, 3, :, :]".
std::string ValueGrid(const PeekResult& result);

}  // namespace tensord::ctl
