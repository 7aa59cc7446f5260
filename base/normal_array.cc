#include "base/normal_array.h"

#include <algorithm>
#include <numbers>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "base/normal_array.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h.
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace waferstream {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Draws beside each other; every lane has 64 bits, of which words of Philox use the lower half.
using Doubles = hn::ScalableTag<double>;
using Words = hn::RebindToUnsigned<Doubles>;
using Double = hn::Vec<Doubles>;
using Word = hn::Vec<Words>;
constexpr Doubles d;
constexpr Words u;

// Nothing is fused and nothing approximated, so that every CPU agrees.
HWY_INLINE Double Set(double value) { return hn::Set(d, value); }

// c0 + x (c1 + x (c2 + ..)).
template <typename... Rest>
HWY_INLINE Double Polynomial(Double x, double c0, Rest... rest) {
  if constexpr (sizeof...(rest) == 0) {
    return Set(c0);
  } else {
    return hn::Add(Set(c0), hn::Mul(x, Polynomial(x, rest...)));
  }
}

// Of whole numbers below 2^52, either way.
HWY_INLINE Double ToDouble(Word whole) {
  return hn::Sub(hn::BitCast(d, hn::Or(whole, hn::Set(u, 0x4330000000000000))), Set(0x1p52));
}
HWY_INLINE Word ToWord(Double whole) {
  return hn::And(hn::BitCast(u, hn::Add(whole, Set(0x1p52))), hn::Set(u, 0xFFFFFFFFFFFFF));
}

// ln x = e ln 2 + ln m with m in [sqrt(1/2), sqrt(2)), the latter as a series of s = f / (2 + f),
// f = m - 1. The coefficients are fdlibm's (e_log.c), whose error is below 1 unit in the last
// place. x is positive and normal.
HWY_INLINE Double Log(Double x) {
  const Word bits = hn::BitCast(u, x);
  const Word mantissa = hn::And(bits, hn::Set(u, 0xFFFFFFFFFFFFF));
  const Double above_one = hn::BitCast(d, hn::Or(mantissa, hn::Set(u, 0x3FF0000000000000)));
  const auto halve = hn::Ge(above_one, Set(std::numbers::sqrt2));
  const Double m = hn::IfThenElse(halve, hn::Mul(above_one, Set(0.5)), above_one);
  const Double exponent = hn::Sub(ToDouble(hn::ShiftRight<52>(bits)), Set(1023));
  const Double e = hn::Add(exponent, hn::IfThenElseZero(halve, Set(1)));
  const Double f = hn::Sub(m, Set(1));
  const Double s = hn::Div(f, hn::Add(Set(2), f));
  const Double z = hn::Mul(s, s);
  const Double series = hn::Mul(
      z, Polynomial(z, 6.666666666666735130e-01, 3.999999999940941908e-01, 2.857142874366239149e-01,
                    2.222219843214978396e-01, 1.818357216161805012e-01, 1.531383769920937332e-01,
                    1.479819860511658591e-01));
  const Double half_square = hn::Mul(Set(0.5), hn::Mul(f, f));
  const Double low = hn::Add(hn::Mul(s, hn::Add(half_square, series)),
                             hn::Mul(e, Set(1.90821492927058770002e-10)));
  const Double high = hn::Mul(e, Set(6.93147180369123816490e-01));
  return hn::Sub(high, hn::Sub(hn::Sub(half_square, low), f));
}

struct Turn {
  Double cos, sin;
};

// Of an angle in [0, 2 pi]: what is over a multiple of pi / 2, and the series of fdlibm's k_sin.c
// and k_cos.c.
HWY_INLINE Turn CosSin(Double angle) {
  const Double quarters = hn::Round(hn::Mul(angle, Set(2 / std::numbers::pi)));
  // pi / 2 in two pieces; the first has 33 bits, so its multiples are exact.
  const Double r = hn::Sub(hn::Sub(angle, hn::Mul(quarters, Set(1.57079632673412561417e+00))),
                           hn::Mul(quarters, Set(6.07710050650619224932e-11)));
  const Double z = hn::Mul(r, r);
  const Double sin = hn::Add(
      r,
      hn::Mul(hn::Mul(z, r), Polynomial(z, -1.66666666666666324348e-01, 8.33333333332248946124e-03,
                                        -1.98412698298579493134e-04, 2.75573137070700676789e-06,
                                        -2.50507602534068634195e-08, 1.58969099521155010221e-10)));
  const Double half = hn::Mul(Set(0.5), z);
  const Double rest =
      hn::Mul(z, hn::Mul(z, Polynomial(z, 4.16666666666666019037e-02, -1.38888888888741095749e-03,
                                       2.48015872894767294178e-05, -2.75573143513906633035e-07,
                                       2.08757232129817482790e-09, -1.13596475577881948265e-11)));
  const Double without = hn::Sub(Set(1), half);
  const Double cos = hn::Add(without, hn::Add(hn::Sub(hn::Sub(Set(1), without), half), rest));
  const Word quarter = ToWord(quarters);
  const auto odd = hn::RebindMask(d, hn::Eq(hn::And(quarter, hn::Set(u, 1)), hn::Set(u, 1)));
  const Word two = hn::Set(u, 2);
  const Word cos_sign = hn::ShiftLeft<62>(hn::And(hn::Add(quarter, hn::Set(u, 1)), two));
  const Word sin_sign = hn::ShiftLeft<62>(hn::And(quarter, two));
  return {hn::Xor(hn::IfThenElse(odd, sin, cos), hn::BitCast(d, cos_sign)),
          hn::Xor(hn::IfThenElse(odd, cos, sin), hn::BitCast(d, sin_sign))};
}

struct Pair {
  Word first, second;
};

// Of the lower halves of lanes.
HWY_INLINE Word LowTimes(Word a, Word b) {
#if HWY_TARGET == HWY_SCALAR
  constexpr uint64_t kLow = 0xFFFFFFFF;
  return hn::Set(u, (hn::GetLane(a) & kLow) * (hn::GetLane(b) & kLow));
#else
  const hn::Repartition<uint32_t, Words> u32;
  return hn::MulEven(hn::BitCast(u32, a), hn::BitCast(u32, b));
#endif
}

// The first two words of base/philox.h's blocks, `index` a lane. Upper halves of lanes are rubbish
// that no product sees.
HWY_INLINE Pair PhiloxLanes(uint64_t seed, const PhiloxWords& counter, Word index) {
  Word c0 = index, c1 = hn::ShiftRight<32>(index);
  Word c2 = hn::Set(u, counter[2]), c3 = hn::Set(u, counter[3]);
  uint32_t k0 = static_cast<uint32_t>(seed), k1 = static_cast<uint32_t>(seed >> 32);
#pragma GCC unroll 10
  for (int round = 0; round < kPhiloxRounds; ++round) {
    const Word p0 = LowTimes(c0, hn::Set(u, kPhiloxMultiplier0));
    const Word p1 = LowTimes(c2, hn::Set(u, kPhiloxMultiplier1));
    c0 = hn::Xor(hn::Xor(hn::ShiftRight<32>(p1), c1), hn::Set(u, k0));
    c2 = hn::Xor(hn::Xor(hn::ShiftRight<32>(p0), c3), hn::Set(u, k1));
    c1 = p1;
    c3 = p0;
    k0 += kPhiloxWeyl0;
    k1 += kPhiloxWeyl1;
  }
  const Word low = hn::Set(u, 0xFFFFFFFF);
  return {hn::And(c0, low), hn::And(c1, low)};
}

HWY_INLINE Double UnitIntervals(Word bits) {
  return hn::Mul(hn::Add(ToDouble(bits), Set(1)), Set(0x1p-32));
}

// Draws of a block go through one stage after the other: short loops, of which a CPU has several
// rounds in work at a time.
constexpr size_t kBlock = 64;

// `count` draws of a block from `index` on, whatever is beyond them; `counter` of any draw.
void FillBlock(uint64_t seed, const PhiloxWords& counter, double deviation, uint64_t index,
               size_t count, float* values) {
  const hn::Rebind<float, Doubles> f;
  const size_t lanes = hn::Lanes(d);
  HWY_ALIGN double radius[kBlock], angle[kBlock];
  HWY_ALIGN float cos[kBlock], sin[kBlock];
  for (size_t i = 0; i < count; i += lanes) {
    const Pair bits = PhiloxLanes(seed, counter, hn::Add(hn::Set(u, index + i), hn::Iota(u, 0)));
    hn::Store(UnitIntervals(bits.first), d, radius + i);
    hn::Store(hn::Mul(Set(2 * std::numbers::pi), UnitIntervals(bits.second)), d, angle + i);
  }
  for (size_t i = 0; i < count; i += lanes) {
    hn::Store(hn::Sqrt(hn::Mul(Set(-2), Log(hn::Load(d, radius + i)))), d, radius + i);
  }
  for (size_t i = 0; i < count; i += lanes) {
    const Turn turn = CosSin(hn::Load(d, angle + i));
    const Double r = hn::Load(d, radius + i), scale = Set(deviation);
    hn::Store(hn::DemoteTo(f, hn::Mul(scale, hn::Mul(r, turn.cos))), f, cos + i);
    hn::Store(hn::DemoteTo(f, hn::Mul(scale, hn::Mul(r, turn.sin))), f, sin + i);
  }
  for (size_t i = 0; i < count; ++i) {
    values[2 * i] = cos[i];
    values[2 * i + 1] = sin[i];
  }
}

void FillPairs(uint64_t seed, const PhiloxWords& counter, double deviation, uint64_t index,
               uint64_t draws, float* values) {
  for (uint64_t at = 0; at < draws; at += kBlock) {
    FillBlock(seed, counter, deviation, index + at, std::min<uint64_t>(kBlock, draws - at),
              values + 2 * at);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace waferstream
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace waferstream {

HWY_EXPORT(FillPairs);

void FillNormal(uint64_t seed, Purpose purpose, uint64_t step, double deviation, uint64_t first,
                uint64_t n, float* values) {
  const PhiloxWords counter = PhiloxCounter(purpose, step, 0);
  const auto fill = [&](uint64_t draw, uint64_t draws, float* to) {
    HWY_DYNAMIC_DISPATCH(FillPairs)(seed, counter, deviation, draw, draws, to);
  };
  // Of a draw at either end one value may be wanted alone.
  float pair[2];
  if (n > 0 && first % 2 != 0) {
    fill(first / 2, 1, pair);
    *values++ = pair[1];
    ++first;
    --n;
  }
  fill(first / 2, n / 2, values);
  if (n % 2 == 0) return;
  fill((first + n) / 2, 1, pair);
  values[n - 1] = pair[0];
}

}  // namespace waferstream
#endif
