/** `session.defaultSession`: who may have which browser permission. As in Electron, without a handler everybody may. */

type RequestHandler = (contents: object, permission: string, answer: (granted: boolean) => void) => void;
type CheckHandler = (contents: object, permission: string) => boolean;

export class DefaultSession {
  #onRequest: RequestHandler = (_contents, _permission, answer) => answer(true);
  #onCheck: CheckHandler = () => true;

  setPermissionRequestHandler(handler: RequestHandler): void {
    this.#onRequest = handler;
  }

  setPermissionCheckHandler(handler: CheckHandler): void {
    this.#onCheck = handler;
  }

  request(contents: object, permission: string): Promise<boolean> {
    return new Promise((resolve) => this.#onRequest(contents, permission, resolve));
  }

  check(contents: object, permission: string): boolean {
    return this.#onCheck(contents, permission);
  }
}
