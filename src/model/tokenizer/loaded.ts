/** A tokenizer in memory. Only a process of its own holds one: see `Tokenizer`. */

import { Tokenizer as HubTokenizer } from '@huggingface/tokenizers'
import { InputError, printable } from '../../errors.js'
import { mendByteFallback } from '../byte-fallback.js'
import { type ChatTemplate, type Turns, turnsOf } from '../chat-template.js'
import { encodeSteps } from './encode.js'
import type { TokenizerFields } from './fields.js'
import { type NewTexts, newTexts, type TextSoFar } from './new-text.js'

export class LoadedTokenizer {
  readonly file: string
  readonly chatTemplate: ChatTemplate | undefined
  private readonly hub: HubTokenizer
  private readonly ids = new Map<string, number>()

  /** @throws InputError when the library cannot use them */
  constructor({ file, fields, config, templateFile }: TokenizerFields) {
    this.file = file
    this.chatTemplate = chatTemplateIn(config, templateFile)
    try {
      this.hub = new HubTokenizer(fields, config)
      mendByteFallback(this.hub.decoder)
      for (const [id, { content }] of this.hub.get_added_tokens_decoder()) this.ids.set(content, id)
    } catch (error) {
      const why = printable((error as Error).message, 200)
      throw new InputError(`${file} is not a tokenizer that headzip can use: ${why}`, { cause: error })
    }
  }

  /** @returns in steps, between which others may work */
  encode(text: string, special: boolean): Generator<void, Int32Array> {
    return encodeSteps(this.hub, text, special)
  }

  /** @returns in steps */
  newText(before: TextSoFar, ids: readonly number[], last: boolean): Generator<void, NewTexts> {
    return newTexts((each) => this.decode(each, false), before, ids, last)
  }

  decode(ids: ArrayLike<number>, special: boolean): string {
    // The library throws on an empty list.
    if (ids.length === 0) return ''
    return this.hub.decode(Array.from(ids), {
      skip_special_tokens: !special,
      clean_up_tokenization_spaces: false,
    })
  }

  /** @returns one a token */
  specialIds(tokens: readonly string[]): (number | undefined)[] {
    return tokens.map((token) => this.ids.get(token))
  }

  /** @throws InputError for a chat template that cannot be used */
  turns(): Turns | undefined {
    return this.chatTemplate && turnsOf(this.chatTemplate)
  }
}

/** The template in a tokenizer_config.json: a text, or the one named default of several. */
function chatTemplateIn(config: Record<string, unknown>, file: string): ChatTemplate | undefined {
  const source: unknown = Array.isArray(config.chat_template)
    ? config.chat_template.find((each: { name?: unknown } | null) => each?.name === 'default')?.template
    : config.chat_template
  if (typeof source !== 'string') return undefined
  const tokens = Object.entries(config).flatMap(([name, value]): [string, string][] => {
    // An added token is written as an object with its text in `content`.
    const text: unknown = typeof value === 'object' ? (value as { content?: unknown } | null)?.content : value
    return name.endsWith('_token') && typeof text === 'string' ? [[name, text]] : []
  })
  return { file, source, tokens: Object.fromEntries(tokens) }
}
