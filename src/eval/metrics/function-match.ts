/** 1 when the code of both is the same but for blanks at line ends and around it. */
export function functionMatch(prediction: string, reference: string): number {
  const code = codeOf(prediction)
  return code !== '' && code === codeOf(reference) ? 1 : 0
}

/** The first fenced block, the whole text where there is none; an unclosed block goes to the end. */
function codeOf(text: string): string {
  const fenced = /^```\w*[ \t]*\n([\s\S]*?)(?:^```|$(?![\s\S]))/m.exec(text)
  const lines = (fenced?.[1] ?? text).split('\n').map((line) => line.trimEnd())
  return lines.join('\n').replace(/^\n+|\n+$/g, '')
}
