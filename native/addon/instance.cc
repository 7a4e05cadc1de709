// Posting to the JavaScript thread, safely while its environment goes away.
#include "addon/instance.h"

namespace tideline {

std::shared_ptr<MainThread> MainThread::Create(Napi::Env env) {
  auto main = std::make_shared<MainThread>();
  main->function_ = Function::New(env, "tideline", 0, 1, main.get());
  main->function_.Unref(env);
  // Hooks run last in, first out: this one runs before the hook with which Node closes the function, so that no thread
  // calls a function that is gone. The hook's copy of the pointer keeps `main` alive until then.
  env.AddCleanupHook([main] { main->Close(); });
  return main;
}

void MainThread::Close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
}

bool MainThread::Post(Task task) {
  auto owned = std::make_unique<Task>(std::move(task));
  const std::lock_guard lock(mutex_);
  if (closed_ || function_.NonBlockingCall(owned.get()) != napi_ok) return false;
  owned.release();  // CallJs owns it now
  return true;
}

void MainThread::CallJs(Napi::Env env, Napi::Function, MainThread*, Task* task) {
  const std::unique_ptr<Task> owned(task);
  // Node calls with no environment for what was still queued when it closed.
  if (static_cast<napi_env>(env) == nullptr) return;
  const Napi::HandleScope scope(env);
  (*owned)(env);
}

void MainThread::Retain(Napi::Env env) {
  if (retained_++ == 0) function_.Ref(env);
}

void MainThread::Release(Napi::Env env) {
  if (--retained_ == 0) function_.Unref(env);
}

JsCallback::JsCallback(Napi::Env env, Napi::Function function) : main_(AddonInstance::Of(env).main) {
  auto* reference = new Napi::FunctionReference(Napi::Persistent(function));
  // References may only be deleted on their own thread, and not after the environment is gone (it deletes them itself).
  reference_ = std::shared_ptr<Napi::FunctionReference>(reference, [main = main_](Napi::FunctionReference* dropped) {
    if (main->Post([dropped](Napi::Env) { delete dropped; })) return;
    dropped->SuppressDestruct();
    delete dropped;
  });
}

void JsCallback::Call(std::function<std::vector<napi_value>(Napi::Env)> arguments) const {
  main_->Post([reference = reference_, arguments = std::move(arguments)](Napi::Env env) {
    reference->Value().Call(arguments(env));
  });
}

}  // namespace tideline
