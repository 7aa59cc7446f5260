// Seeds that found something, and what. They run with every test.
#pragma once

#include <cstdint>

namespace waferstream {

struct RegressionSeed {
  uint64_t seed;
  const char* found;
};

// A seed is a plan, and plans change when their drawing does: a line says what was found, so that
// it can be found again, and the thousands of other seeds keep looking for it.
inline constexpr RegressionSeed kRegressionSeeds[] = {
    {21, "the record of a job's end was lost when the disk refused it once"},
    {44, "a Release whose answer was lost was never sent again"},
    {73, "a node that registered after its job had ended belonged to it for ever"},
    {208, "a restarted node served its predecessor's Prepare and was never released"},
    {238, "a heartbeat at the moment of a retry made the controller forget the retry"},
    {258, "a disk that was read-only for a moment failed the job"},
    {304, "a node that a job had left before a restart of the controller was not released"},
    {1252, "a checkpoint of its own that could not be read for a moment failed a job"},
    {911760,
     "a node that served its predecessor's Prepare before it registered was never released"},
    {6006239, "the same, while the predecessor was lost"},
    {598319040027, "an uncordon that the disk refused once was undone by a restart"},
    {853642576211,
     "the record of a job's end was given up, and nobody would have written it again"},
    {853642578078, "the same, in one transaction with a record that somebody waited for"},
    {738776456338,
     "steps that a job had gone back behind came back after a restart, done as before an "
     "amendment"},
    {738776474026, "a step was amended while wafers disagreed about it, and honest ones cordoned"},
    {486310266469, "a copy that was away applied a commit to gradients of an epoch with a liar"},
    {867066029580,
     "users who asked again for what was so already filled the store's backlog for ever"},
    {765, "a step whose commit was on its way to the disk was recorded as amended"},
    {2291, "a disk that failed for a moment failed a job that was to generate"},
    {3020, "two jobs that had lost nodes waited for one another's for ever"},
    {6005529, "sealing a checkpoint removed the one that the controller had on record"},
};

}  // namespace waferstream
