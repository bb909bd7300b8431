/**
 * A bound on the memory of a WebAssembly module. parquet-wasm makes its memory itself, and without a bound; no option of
 * JavaScript sets one from outside, but the module's memory section does (WebAssembly specification, 5.5.8).
 */

export const pageBytes = 65_536
/** 4 GiB: what 32-bit addresses reach. */
export const mostPages = 65_536
const memorySection = 5

/** @returns the module with a memory that never grows beyond `pages` of 64 KiB: allocations fail instead */
export function limitMemory(module: Uint8Array, pages: number): Uint8Array {
  // After the magic number and the version; each section is an id, its length, and its content.
  for (let at = 8; at < module.length; ) {
    const [length, content] = readNumber(module, at + 1)
    if (module[at] === memorySection) {
      // One memory: whether it has a maximum, then its minimum in pages.
      const [least] = readNumber(module, content + 2)
      const section = [1, 1, ...writeNumber(least), ...writeNumber(Math.max(least, pages))]
      const head = [memorySection, ...writeNumber(section.length)]
      return Buffer.concat([
        module.subarray(0, at),
        Uint8Array.from([...head, ...section]),
        module.subarray(content + length),
      ])
    }
    at = content + length
  }
  throw new Error('the WebAssembly module has no memory of its own')
}

/** LEB128. @returns the number, and what follows it */
function readNumber(bytes: Uint8Array, at: number): [value: number, next: number] {
  let value = 0
  for (let shift = 1; ; shift *= 128) {
    const byte = bytes[at++]!
    value += (byte & 127) * shift
    if (byte < 128) return [value, at]
  }
}

function writeNumber(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...writeNumber(Math.floor(value / 128))]
}
