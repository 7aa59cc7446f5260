// The losses of a job as a picture in the terminal.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace waferstream {

// A chart of text: the loss over the steps from `first_step` on, from its highest to its lowest
// value; where there are more steps than columns, a column is the mean of some. Losses that are not
// finite leave a gap. Empty: there are too few to draw.
std::string LossCurve(std::span<const double> losses, uint64_t first_step);

}  // namespace waferstream
