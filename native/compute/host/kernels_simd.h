// The few vector operations that the kernels need, for the instruction set this file is compiled for. Included only by
// kernels_body.h, inside a namespace of its own per instruction set and without any standard template: an inline
// function compiled with AVX-512 must never be the copy that the linker keeps for everybody.

#if defined(__AVX512F__)

struct Vec {
  static constexpr int kLanes = 16;
  __m512 v;
};
inline Vec Zero() { return {_mm512_setzero_ps()}; }
inline Vec Splat(float x) { return {_mm512_set1_ps(x)}; }
inline Vec Load(const float* p) { return {_mm512_loadu_ps(p)}; }
inline void Store(float* p, Vec a) { _mm512_storeu_ps(p, a.v); }
inline Vec operator+(Vec a, Vec b) { return {_mm512_add_ps(a.v, b.v)}; }
inline Vec operator-(Vec a, Vec b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline Vec operator*(Vec a, Vec b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline Vec operator/(Vec a, Vec b) { return {_mm512_div_ps(a.v, b.v)}; }
inline Vec MulAdd(Vec a, Vec b, Vec c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
// Where either operand is a NaN, the result is `b`.
inline Vec Max(Vec a, Vec b) { return {_mm512_max_ps(a.v, b.v)}; }
inline Vec Min(Vec a, Vec b) { return {_mm512_min_ps(a.v, b.v)}; }
inline Vec Round(Vec a) { return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }
// 2^n for whole n in [-126, 127].
inline Vec PowerOfTwo(Vec n) {
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(_mm512_cvtps_epi32(n.v), _mm512_set1_epi32(127)), 23))};
}
inline Vec LoadBF16(const uint16_t* p) {
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i*)p)), 16))};
}
inline Vec LoadI8(const int8_t* p) {
  return {_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i*)p)))};
}
inline Vec LoadF16(const uint16_t* p) { return {_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i*)p))}; }
inline void StoreBF16(uint16_t* p, Vec a) {
  const __m512i bits = _mm512_castps_si512(a.v);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
  const __mmask16 nan = _mm512_cmp_ps_mask(a.v, a.v, _CMP_UNORD_Q);
  const __m512i result = _mm512_mask_or_epi32(rounded, nan, bits, _mm512_set1_epi32(0x400000));
  _mm256_storeu_si256((__m256i*)p, _mm512_cvtepi32_epi16(_mm512_srli_epi32(result, 16)));
}
inline void StoreF16(uint16_t* p, Vec a) {
  _mm256_storeu_si256((__m256i*)p, _mm512_cvtps_ph(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
inline float Sum(Vec a) {
  const __m256 half = _mm256_add_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  __m128 quarter = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
  quarter = _mm_add_ps(quarter, _mm_movehl_ps(quarter, quarter));
  return _mm_cvtss_f32(_mm_add_ss(quarter, _mm_movehdup_ps(quarter)));
}

#elif defined(__AVX2__)

struct Vec {
  static constexpr int kLanes = 8;
  __m256 v;
};
inline Vec Zero() { return {_mm256_setzero_ps()}; }
inline Vec Splat(float x) { return {_mm256_set1_ps(x)}; }
inline Vec Load(const float* p) { return {_mm256_loadu_ps(p)}; }
inline void Store(float* p, Vec a) { _mm256_storeu_ps(p, a.v); }
inline Vec operator+(Vec a, Vec b) { return {_mm256_add_ps(a.v, b.v)}; }
inline Vec operator-(Vec a, Vec b) { return {_mm256_sub_ps(a.v, b.v)}; }
inline Vec operator*(Vec a, Vec b) { return {_mm256_mul_ps(a.v, b.v)}; }
inline Vec operator/(Vec a, Vec b) { return {_mm256_div_ps(a.v, b.v)}; }
inline Vec MulAdd(Vec a, Vec b, Vec c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
inline Vec Max(Vec a, Vec b) { return {_mm256_max_ps(a.v, b.v)}; }
inline Vec Min(Vec a, Vec b) { return {_mm256_min_ps(a.v, b.v)}; }
inline Vec Round(Vec a) { return {_mm256_round_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }
inline Vec PowerOfTwo(Vec n) {
  return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n.v), _mm256_set1_epi32(127)), 23))};
}
inline Vec LoadBF16(const uint16_t* p) {
  return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i*)p)), 16))};
}
inline Vec LoadI8(const int8_t* p) {
  return {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i*)p)))};
}
inline Vec LoadF16(const uint16_t* p) { return {_mm256_cvtph_ps(_mm_loadu_si128((const __m128i*)p))}; }
inline void StoreBF16(uint16_t* p, Vec a) {
  const __m256i bits = _mm256_castps_si256(a.v);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
  const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
  const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(a.v, a.v, _CMP_UNORD_Q));
  const __m256i result = _mm256_srli_epi32(_mm256_blendv_epi8(rounded, quiet, nan), 16);
  const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(result, result), 0x08);
  _mm_storeu_si128((__m128i*)p, _mm256_castsi256_si128(packed));
}
inline void StoreF16(uint16_t* p, Vec a) {
  _mm_storeu_si128((__m128i*)p, _mm256_cvtps_ph(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
inline float Sum(Vec a) {
  __m128 quarter = _mm_add_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
  quarter = _mm_add_ps(quarter, _mm_movehl_ps(quarter, quarter));
  return _mm_cvtss_f32(_mm_add_ss(quarter, _mm_movehdup_ps(quarter)));
}

#else  // SSE2, which every x86-64 has

struct Vec {
  static constexpr int kLanes = 4;
  __m128 v;
};
inline Vec Zero() { return {_mm_setzero_ps()}; }
inline Vec Splat(float x) { return {_mm_set1_ps(x)}; }
inline Vec Load(const float* p) { return {_mm_loadu_ps(p)}; }
inline void Store(float* p, Vec a) { _mm_storeu_ps(p, a.v); }
inline Vec operator+(Vec a, Vec b) { return {_mm_add_ps(a.v, b.v)}; }
inline Vec operator-(Vec a, Vec b) { return {_mm_sub_ps(a.v, b.v)}; }
inline Vec operator*(Vec a, Vec b) { return {_mm_mul_ps(a.v, b.v)}; }
inline Vec operator/(Vec a, Vec b) { return {_mm_div_ps(a.v, b.v)}; }
inline Vec MulAdd(Vec a, Vec b, Vec c) { return {_mm_add_ps(_mm_mul_ps(a.v, b.v), c.v)}; }
inline Vec Max(Vec a, Vec b) { return {_mm_max_ps(a.v, b.v)}; }
inline Vec Min(Vec a, Vec b) { return {_mm_min_ps(a.v, b.v)}; }
// Through integers: the callers stay within +-2^31.
inline Vec Round(Vec a) { return {_mm_cvtepi32_ps(_mm_cvtps_epi32(a.v))}; }
inline Vec PowerOfTwo(Vec n) {
  return {_mm_castsi128_ps(_mm_slli_epi32(_mm_add_epi32(_mm_cvtps_epi32(n.v), _mm_set1_epi32(127)), 23))};
}
inline Vec LoadBF16(const uint16_t* p) {
  return {_mm_castsi128_ps(_mm_unpacklo_epi16(_mm_setzero_si128(), _mm_loadl_epi64((const __m128i*)p)))};
}
inline Vec LoadI8(const int8_t* p) {
  int four;
  __builtin_memcpy(&four, p, 4);
  // Each byte four times in its lane, of which the shift leaves the uppermost with its sign.
  const __m128i twice = _mm_unpacklo_epi8(_mm_cvtsi32_si128(four), _mm_cvtsi32_si128(four));
  return {_mm_cvtepi32_ps(_mm_srai_epi32(_mm_unpacklo_epi16(twice, twice), 24))};
}
inline Vec LoadF16(const uint16_t* p) {
  // Shift the half's exponent and mantissa into a float and scale by 2^112, which also normalises subnormals;
  // infinities and NaNs get the exponent that the scaling cannot reach.
  const __m128i half = _mm_unpacklo_epi16(_mm_loadl_epi64((const __m128i*)p), _mm_setzero_si128());
  const __m128i sign = _mm_slli_epi32(_mm_and_si128(half, _mm_set1_epi32(0x8000)), 16);
  const __m128i magnitude = _mm_and_si128(half, _mm_set1_epi32(0x7fff));
  const __m128 scale = _mm_castsi128_ps(_mm_set1_epi32((127 + 112) << 23));
  const __m128i finite = _mm_castps_si128(_mm_mul_ps(_mm_castsi128_ps(_mm_slli_epi32(magnitude, 13)), scale));
  const __m128i special = _mm_and_si128(_mm_cmpgt_epi32(magnitude, _mm_set1_epi32(0x7bff)), _mm_set1_epi32(0x7f800000));
  return {_mm_castsi128_ps(_mm_or_si128(sign, _mm_or_si128(finite, special)))};
}
inline void StoreBF16(uint16_t* p, Vec a) {
  alignas(16) float values[4];
  Store(values, a);
  for (int lane = 0; lane < 4; ++lane) {
    uint32_t bits;
    __builtin_memcpy(&bits, &values[lane], 4);
    const bool nan = (bits & 0x7fffffffu) > 0x7f800000u;
    p[lane] = (uint16_t)((nan ? bits | 0x400000u : bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
  }
}
inline void StoreF16(uint16_t* p, Vec a) {
  alignas(16) float values[4];
  Store(values, a);
  for (int lane = 0; lane < 4; ++lane) {
    uint32_t bits;
    __builtin_memcpy(&bits, &values[lane], 4);
    const uint32_t sign = (bits >> 16) & 0x8000u, magnitude = bits & 0x7fffffffu;
    uint32_t half;
    if (magnitude > 0x7f800000u) {
      half = 0x7e00u | ((magnitude >> 13) & 0x3ffu);
    } else if (magnitude >= 0x477ff000u) {  // 65520 and above round to infinity
      half = 0x7c00u;
    } else if (magnitude < 0x38800000u) {  // subnormal: adding 0.5 lines the bits up and rounds them
      float shifted;
      __builtin_memcpy(&shifted, &magnitude, 4);
      shifted += 0.5f;
      __builtin_memcpy(&half, &shifted, 4);
      half -= 0x3f000000u;
    } else {
      half = (magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13) & 1u)) >> 13;
    }
    p[lane] = (uint16_t)(sign | half);
  }
}
inline float Sum(Vec a) {
  const __m128 half = _mm_add_ps(a.v, _mm_movehl_ps(a.v, a.v));
  return _mm_cvtss_f32(_mm_add_ss(half, _mm_shuffle_ps(half, half, 1)));
}

#endif

// Storage types as tags, so that a loop over weights is compiled once per type. Bias: how a bias beside such weights is
// stored.
struct F32 {
  using Stored = float;
  using Bias = F32;
  static Vec Load(const Stored* p) { return KERNELS_NAMESPACE::Load(p); }
  static void Store(Stored* p, Vec a) { KERNELS_NAMESPACE::Store(p, a); }
};
struct F16 {
  using Stored = uint16_t;
  using Bias = F16;
  static Vec Load(const Stored* p) { return LoadF16(p); }
  static void Store(Stored* p, Vec a) { StoreF16(p, a); }
};
struct BF16 {
  using Stored = uint16_t;
  using Bias = BF16;
  static Vec Load(const Stored* p) { return LoadBF16(p); }
  static void Store(Stored* p, Vec a) { StoreBF16(p, a); }
};

struct I8 {  // only ever read
  using Stored = int8_t;
  using Bias = F32;
  static Vec Load(const Stored* p) { return LoadI8(p); }
};

// The last, incomplete vector of a row: lanes from `count` on are zero when loaded and not stored.
template <typename T>
inline Vec LoadPart(const typename T::Stored* p, uint64_t count) {
  typename T::Stored lanes[Vec::kLanes] = {};
  __builtin_memcpy(lanes, p, count * sizeof(lanes[0]));
  return T::Load(lanes);
}
template <typename T>
inline void StorePart(typename T::Stored* p, Vec a, uint64_t count) {
  typename T::Stored lanes[Vec::kLanes];
  T::Store(lanes, a);
  __builtin_memcpy(p, lanes, count * sizeof(lanes[0]));
}

// exp(x), within 2 ulp between -87.3 and 88.7 and their values outside (1e-38 and 3e38); a NaN stays one.
// 2^n * e^r with r in [-ln2/2, ln2/2], polynomial of Cephes' expf.
inline Vec Exp(Vec x) {
  // The order of the operands keeps a NaN in x: Min and Max return their second operand then.
  const Vec clamped = Max(Splat(-87.33654f), Min(Splat(88.72283f), x));
  const Vec n = Min(Splat(127.0f), Round(clamped * Splat(1.44269504088896341f)));
  Vec r = MulAdd(n, Splat(-0.693359375f), clamped);
  r = MulAdd(n, Splat(2.12194440e-4f), r);
  Vec p = Splat(1.9875691500e-4f);
  p = MulAdd(p, r, Splat(1.3981999507e-3f));
  p = MulAdd(p, r, Splat(8.3334519073e-3f));
  p = MulAdd(p, r, Splat(4.1665795894e-2f));
  p = MulAdd(p, r, Splat(1.6666665459e-1f));
  p = MulAdd(p, r, Splat(5.0000001201e-1f));
  p = MulAdd(p, r * r, r + Splat(1.0f));
  return p * PowerOfTwo(n);
}
