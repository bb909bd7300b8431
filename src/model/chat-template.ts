/** For families that KVzip has no chat format for: a tokenizer's own template says where the user's text stands. */

import { Template } from '@huggingface/jinja'
import { InputError } from '../errors.js'

export interface ChatTemplate {
  /** Jinja, as tokenizer_config.json holds it. */
  source: string
  /** `bos_token`, `eos_token` and the like, which templates write out. */
  tokens: Readonly<Record<string, string>>
}

/** What stands before a user's text, between it and the model's answer, and between that and the user's next text. */
export interface Turns {
  system: string
  postfix: string
  nextTurn: string
}

/** KVzip's system message. */
const greeting = 'You are a helpful assistant.'

/** Stands for the user's text: letters only, which no template strips or escapes. */
const userText = 'HEADZIPUSERTEXT'
/** Stand for an answer and for what the user says next. */
const answerText = 'HEADZIPANSWERTEXT'
const laterText = 'HEADZIPLATERTEXT'

/**
 * Renders one user turn and cuts it where the user's text stood. Where a template knows no system role, the system
 * message opens the user's text, as KVzip does for Gemma.
 * @param where names the tokenizer in messages
 * @throws InputError when the template does not parse, refuses a plain conversation, or hides the user's text
 */
export function turnsOf(template: ChatTemplate, where: string): Turns {
  const parsed = attempt(where, () => new Template(template.source))
  const render = (messages: object[]): string =>
    parsed.render({ ...template.tokens, messages, add_generation_prompt: true })
  const user = (content: string): object => ({ role: 'user', content })
  const withSystem = quietly(() => render([{ role: 'system', content: greeting }, user(userText)]))
  const text = withSystem?.includes(greeting)
    ? withSystem
    : attempt(where, () => render([user(`${greeting}\n\n${userText}`)]))
  const parts = text.split(userText)
  if (parts.length !== 2)
    throw new InputError(`${where} has a chat template that writes the user's text ${parts.length - 1} times`)
  const turns = quietly(() =>
    render([user(userText), { role: 'assistant', content: answerText }, user(laterText)]),
  )
  // A template for one turn only: a blank line parts what follows, as KVzip does it.
  const nextTurn = turns?.split(answerText)[1]?.split(laterText)[0] ?? '\n\n'
  return { system: parts[0]!, postfix: parts[1]!, nextTurn }
}

function attempt<T>(where: string, make: () => T): T {
  try {
    return make()
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new InputError(`${where} has a chat template that cannot be used: ${why}`, { cause: error })
  }
}

function quietly<T>(make: () => T): T | undefined {
  try {
    return make()
  } catch {
    return undefined
  }
}
