// The two macros that make error paths one line. Control flow stays visible: each may return from
// the function.
#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Trap: `expression` is evaluated once, but the macro is a statement: brace it in an `if` without
// braces.
#define TENSORD_RETURN_IF_ERROR(expression)          \
  do {                                               \
    absl::Status tensord_status = (expression);      \
    if (!tensord_status.ok()) return tensord_status; \
  } while (false)

// `TENSORD_ASSIGN_OR_RETURN(auto file, Open(path));` moves the value out, or returns the error.
// Traps: it is two statements, so never the body of an `if` without braces; a comma in `lhs` needs
// a typedef.
#define TENSORD_ASSIGN_OR_RETURN(lhs, expression) \
  TENSORD_ASSIGN_OR_RETURN_IMPL(TENSORD_CONCAT(tensord_or_, __LINE__), lhs, expression)
#define TENSORD_ASSIGN_OR_RETURN_IMPL(result, lhs, expression) \
  auto result = (expression);                                  \
  if (!result.ok()) return std::move(result).status();         \
  lhs = *std::move(result)
#define TENSORD_CONCAT(a, b) TENSORD_CONCAT_IMPL(a, b)
#define TENSORD_CONCAT_IMPL(a, b) a##b
