import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Tokenizer as HubTokenizer } from '@huggingface/tokenizers'
import { InputError } from '../errors.js'
import { mendByteFallback } from './byte-fallback.js'
import type { ChatTemplate } from './chat-template.js'
import { readJson } from './json-file.js'

/** Text to ids and back, synchronous. */
export class Tokenizer {
  private readonly specialIds = new Map<string, number>()

  private constructor(
    readonly file: string,
    private readonly tokenizer: HubTokenizer,
    /** The model's own way to write conversations. */
    readonly chatTemplate?: ChatTemplate | undefined,
  ) {
    for (const [id, { content }] of tokenizer.get_added_tokens_decoder()) this.specialIds.set(content, id)
  }

  /** @throws InputError when tokenizer.json or tokenizer_config.json is missing or unusable */
  static load(folder: string): Tokenizer {
    const file = join(folder, 'tokenizer.json')
    const { fields } = readJson(file)
    const { fields: config } = readJson(join(folder, 'tokenizer_config.json'))
    // Newer models keep their chat template in a file of its own.
    const template = join(folder, 'chat_template.jinja')
    if (existsSync(template)) config.chat_template = readFileSync(template, 'utf8')
    return Tokenizer.from(file, fields, config)
  }

  /**
   * @param file for messages
   * @param fields what tokenizer.json holds
   * @param config what tokenizer_config.json holds
   * @throws InputError when the library cannot use them
   */
  static from(file: string, fields: object, config: Record<string, unknown>): Tokenizer {
    try {
      const tokenizer = new HubTokenizer(fields, config)
      mendByteFallback(tokenizer.decoder)
      return new Tokenizer(file, tokenizer, chatTemplateIn(config))
    } catch (error) {
      throw new InputError(`${file} is not a tokenizer that headzip can use: ${(error as Error).message}`, {
        cause: error,
      })
    }
  }

  /**
   * Special tokens written out in the text become their ids.
   * @param options.special add what the tokenizer puts around a text by itself (default: nothing)
   */
  encode(text: string, options: { special?: boolean } = {}): number[] {
    return this.tokenizer.encode(text, { add_special_tokens: options.special === true }).ids
  }

  /** @param options.special keep special tokens in the text (default: drop them) */
  decode(ids: ArrayLike<number>, options: { special?: boolean } = {}): string {
    // The library throws on an empty list.
    if (ids.length === 0) return ''
    return this.tokenizer.decode(Array.from(ids), {
      skip_special_tokens: options.special !== true,
      clean_up_tokenization_spaces: false,
    })
  }

  /** Id of an added token such as `<|im_end|>`. */
  specialId(token: string): number | undefined {
    return this.specialIds.get(token)
  }
}

/** The template in a tokenizer_config.json: a text, or the one named default of several. */
function chatTemplateIn(config: Record<string, unknown>): ChatTemplate | undefined {
  const source: unknown = Array.isArray(config.chat_template)
    ? config.chat_template.find((each: { name?: unknown } | null) => each?.name === 'default')?.template
    : config.chat_template
  if (typeof source !== 'string') return undefined
  const tokens = Object.entries(config).flatMap(([name, value]): [string, string][] => {
    // An added token is written as an object with its text in `content`.
    const text: unknown = typeof value === 'object' ? (value as { content?: unknown } | null)?.content : value
    return name.endsWith('_token') && typeof text === 'string' ? [[name, text]] : []
  })
  return { source, tokens: Object.fromEntries(tokens) }
}
