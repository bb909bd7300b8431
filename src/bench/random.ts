/** @returns a function that draws token ids below `vocab`, the same ones every time it is made */
export function randomIds(vocab: number): (count: number) => Int32Array {
  let state = 1
  return (count) =>
    Int32Array.from({ length: count }, () => {
      state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
      return state % vocab
    })
}
