/** Fenced code blocks of a page, and the commands in them. */

import { readFileSync } from 'node:fs'
import { pagePath } from './marked.js'

export interface Block {
  language: string
  /** Of its first line, from 1. */
  line: number
  text: string
}

export function blocksOf(page: string): Block[] {
  const text = readFileSync(pagePath(page), 'utf8')
  return [...text.matchAll(/^```(.*)\n([\s\S]*?)^```$/gm)].map((match) => ({
    language: match[1]!.trim(),
    line: text.slice(0, match.index).split('\n').length + 1,
    text: match[2]!,
  }))
}

/** Commands of a bash block as a shell sees them, continued lines joined; comments and spare blanks are gone. */
export function commandsOf({ text }: Block): string[] {
  return text
    .replaceAll(/\\\n\s*/g, '')
    .split('\n')
    .map((line) => line.replace(/(^|\s+)#.*$/, '').trim())
    .filter((line) => line !== '')
}
