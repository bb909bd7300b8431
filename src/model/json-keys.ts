/**
 * The first key that stands twice in the outermost object of a JSON text, which JSON.parse would merge in silence.
 * @param json valid JSON: parse it first
 */
export function duplicateKey(json: string): string | undefined {
  const seen = new Set<string>()
  let depth = 0
  let keyNext = false
  for (let at = 0; at < json.length; at++) {
    const char = json[at]
    if (char === '"') {
      const end = endOfString(json, at)
      if (keyNext && depth === 1) {
        const key = JSON.parse(json.slice(at, end)) as string
        if (seen.has(key)) return key
        seen.add(key)
      }
      keyNext = false
      at = end - 1
    } else if (char === '{' || char === '[') {
      depth++
      keyNext = char === '{'
    } else if (char === '}' || char === ']') depth--
    else if (char === ',') keyNext = true
  }
  return undefined
}

/** Index after the closing quote of the string that opens at `start`. */
function endOfString(json: string, start: number): number {
  let at = start + 1
  while (json[at] !== '"') at += json[at] === '\\' ? 2 : 1
  return at + 1
}
