/** For families that KVzip has no chat format for: a tokenizer's own template says where the user's text stands. */

import { InputError, printable } from '../errors.js'
import { BoundedTemplate, TemplateBound } from './bounded-template.js'

export interface ChatTemplate {
  /** For messages. */
  file: string
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
 * @throws InputError when the template does not parse, refuses a plain conversation, does more than such a conversation
 * can need, or hides the user's text
 */
export function turnsOf(template: ChatTemplate): Turns {
  try {
    return cutTurns(template)
  } catch (error) {
    if (error instanceof InputError) throw error
    const { message } = error as Error
    const why = message.includes('call stack') ? 'it is nested too deeply' : printable(message, 200)
    throw new InputError(`${template.file} has a chat template that cannot be used: ${why}`, { cause: error })
  }
}

function cutTurns({ file, source, tokens }: ChatTemplate): Turns {
  const template = new BoundedTemplate(source)
  const render = (messages: object[]): string =>
    template.render({ ...tokens, messages, add_generation_prompt: true })
  const user = (content: string): object => ({ role: 'user', content })
  const withSystem = unlessRefused(() => render([{ role: 'system', content: greeting }, user(userText)]))
  const text = withSystem?.includes(greeting) ? withSystem : render([user(`${greeting}\n\n${userText}`)])
  const parts = text.split(userText)
  if (parts.length !== 2)
    throw new InputError(`${file} has a chat template that writes the user's text ${parts.length - 1} times`)
  const turns = unlessRefused(() =>
    render([user(userText), { role: 'assistant', content: answerText }, user(laterText)]),
  )
  // A template for one turn only: a blank line parts what follows, as KVzip does it.
  const nextTurn = turns?.split(answerText)[1]?.split(laterText)[0] ?? '\n\n'
  return { system: parts[0]!, postfix: parts[1]!, nextTurn }
}

/** undefined for what the template itself refuses. */
function unlessRefused<T>(make: () => T): T | undefined {
  try {
    return make()
  } catch (error) {
    if (error instanceof TemplateBound) throw error
    return undefined
  }
}
