// What the addon keeps per JavaScript environment (main thread, worker, utility process): no globals, so several
// environments in one process do not meet.
#pragma once

#include <napi.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "memory/error.h"  // Error

namespace tideline {

// The JavaScript thread of one environment, as other threads see it: somewhere to post functions.
class MainThread {
 public:
  // On the JavaScript thread.
  static std::shared_ptr<MainThread> Create(Napi::Env env);

  // Any thread: runs `task` on the JavaScript thread, in order of posting. False, and the task dropped, once the
  // environment is closing.
  bool Post(std::function<void(Napi::Env)> task);

  // On the JavaScript thread: while retained, pending work keeps the process alive. Balanced by Release.
  void Retain(Napi::Env env);
  void Release(Napi::Env env);

 private:
  using Task = std::function<void(Napi::Env)>;
  static void CallJs(Napi::Env env, Napi::Function, MainThread*, Task* task);
  using Function = Napi::TypedThreadSafeFunction<MainThread, Task, &MainThread::CallJs>;

  void Close();

  Function function_;
  std::mutex mutex_;
  bool closed_ = false;
  int retained_ = 0;
};

// A JavaScript function that any thread may hold, call and drop.
class JsCallback {
 public:
  JsCallback() = default;
  // On the JavaScript thread.
  JsCallback(Napi::Env env, Napi::Function function);

  explicit operator bool() const { return reference_ != nullptr; }

  // Any thread. `arguments` runs on the JavaScript thread and makes the call's arguments.
  void Call(std::function<std::vector<napi_value>(Napi::Env)> arguments) const;

 private:
  std::shared_ptr<MainThread> main_;
  std::shared_ptr<Napi::FunctionReference> reference_;
};

class AddonInstance {
 public:
  explicit AddonInstance(Napi::Env env) : main(MainThread::Create(env)) {}
  static AddonInstance& Of(Napi::Env env) { return *env.GetInstanceData<AddonInstance>(); }

  const std::shared_ptr<MainThread> main;
  // Classes by name, for making objects from C++: constructors["NativeDevice"].New({…}).
  std::unordered_map<std::string, Napi::FunctionReference> constructors;
};

// Makes an object of wrapped class T (which has `static constexpr const char* kClassName` and is registered in
// `constructors`); T's constructor takes the state with TakeState. JavaScript cannot make one: it has no External.
template <typename T, typename State>
Napi::Object NewWrapped(Napi::Env env, State state) {
  return AddonInstance::Of(env).constructors[T::kClassName].New({Napi::External<State>::New(env, &state)});
}

template <typename State>
State TakeState(const Napi::CallbackInfo& info) {
  if (info.Length() != 1 || !info[0].IsExternal()) {
    throw Napi::TypeError::New(info.Env(), "Illegal constructor: use the addon's functions");
  }
  return std::move(*info[0].As<Napi::External<State>>().Data());
}

// The C++ object behind a value that should be a T; `bad_argument` naming `what` when it is anything else.
template <typename T>
T& Unwrapped(Napi::Value value, const char* what) {
  const Napi::Env env = value.Env();
  if (!value.IsObject() || !value.As<Napi::Object>().InstanceOf(AddonInstance::Of(env).constructors[T::kClassName].Value())) {
    throw Error("bad_argument", std::string(what) + " must be a " + T::kClassName);
  }
  T* object = Napi::ObjectWrap<T>::Unwrap(value.As<Napi::Object>());
  if (!object) throw Error("bad_argument", std::string(what) + " is not a whole " + T::kClassName);
  return *object;
}

}  // namespace tideline
