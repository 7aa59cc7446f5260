// exp() for code that Highway compiles once per SIMD target.
#if defined(WAFERSTREAM_KERNELS_EXP_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef WAFERSTREAM_KERNELS_EXP_INL_H_
#undef WAFERSTREAM_KERNELS_EXP_INL_H_
#else
#define WAFERSTREAM_KERNELS_EXP_INL_H_
#endif

#include "base/simd-inl.h"
#include "hwy/contrib/math/math-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace waferstream {
namespace HWY_NAMESPACE {

// exp(x) for x up to 88. Highway's turns a NaN into 0, which would hide the very thing that has to
// stop a commit; here a NaN stays one.
template <class D>
HWY_INLINE hn::Vec<D> ExpOf(D d, hn::Vec<D> x) {
  return hn::IfThenElse(hn::IsNaN(x), x, hn::Exp(d, x));
}

}  // namespace HWY_NAMESPACE
}  // namespace waferstream
HWY_AFTER_NAMESPACE();

#endif
