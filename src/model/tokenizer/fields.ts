/** What a tokenizer is made of. */

export interface TokenizerFields {
  /** For messages. */
  file: string
  /** What tokenizer.json holds, or would. */
  fields: object
  /** What tokenizer_config.json holds, or would: the chat template, and tokens that it may write out. */
  config: Record<string, unknown>
  /** Where the chat template stands. */
  templateFile: string
}
