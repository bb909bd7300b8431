/** What is used of it here: TypeScript knows it with the types of browsers only. */
declare namespace WebAssembly {
  type Module = object
  class RuntimeError extends Error {}
  function compile(bytes: Uint8Array): Promise<Module>
}
