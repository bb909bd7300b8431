/** Task and question often stand at either end: what is over `most` tokens goes from the middle, as LongBench cuts. */
export function cutMiddle(ids: Int32Array, most: number | undefined): Int32Array {
  if (most === undefined || ids.length <= most) return ids
  const head = Math.ceil(most / 2)
  const cut = new Int32Array(most)
  cut.set(ids.subarray(0, head))
  cut.set(ids.subarray(ids.length - (most - head)), head)
  return cut
}
