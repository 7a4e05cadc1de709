// Lists of numbers between JavaScript and the core: plain arrays or typed ones in, typed ones out.
#pragma once

#include <napi.h>

#include <cstdint>
#include <vector>

namespace tideline {

// Plain array, Float32Array or Float64Array; NaN and infinities pass: the core says what they mean. Error bad_argument.
std::vector<double> ReadNumbers(Napi::Value value, const char* what);
// Plain array, Uint32Array or Int32Array of whole numbers from 0. Error bad_argument.
std::vector<uint32_t> ReadTokenIds(Napi::Value value, const char* what);
// An array of lists of numbers. Error bad_argument.
std::vector<std::vector<double>> ReadRows(Napi::Value value, const char* what);

Napi::Float32Array ToJs(Napi::Env env, const std::vector<float>& values);
// An array of Float64Arrays.
Napi::Array ToJs(Napi::Env env, const std::vector<std::vector<double>>& rows);

}  // namespace tideline
