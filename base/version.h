// What this build is, and with whom it works. Weak symbols, so that a test can link the same
// program as another release (tests/upgrade).
#pragma once

#include <cstdint>

namespace waferstream {

// Of everything that is built from this tree.
const char* Version();

// Versions of the protocol: how nodes and controller talk, and frames on the fabric. A release
// raises the newest when it has to, and speaks the one before, so that a cluster can be upgraded
// process by process.
uint32_t NewestProtocol();
uint32_t OldestProtocol();

// Releases with the same number compute the same bits for a job, and may compute one together.
// Whoever changes a bit of what jobs compute, or what a plan's hash says, raises it
// (tests/numerics_test.cc holds that).
uint32_t Numerics();

// As a message or a record says it: those of before there was a number say nothing.
inline uint32_t NumericsSaid(uint32_t said) { return said == 0 ? 1 : said; }

}  // namespace waferstream
