/**
 * What stands before a context and between a question and its answer, as KVzip (arXiv 2505.23416) writes it for each
 * chat format. The system prefix is never evicted.
 */
export interface ChatFormat {
  /** A special token of this format. */
  marker: string
  /** Opens the conversation, up to where the user's text starts. */
  system: string
  /** Closes the user's turn and opens the model's. */
  postfix: string
  /** Closes the model's turn, with the token that ends its answers, and opens the user's next one. */
  nextTurn: string
}

export const chatFormats = {
  llama3: {
    marker: '<|start_header_id|>',
    system:
      '<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nYou are a helpful assistant<|eot_id|>' +
      '<|start_header_id|>user<|end_header_id|>\n\n',
    postfix: '\n\n<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n',
    nextTurn: '<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n',
  },
  chatml: {
    marker: '<|im_start|>',
    system: '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n',
    postfix: '<|im_end|>\n<|im_start|>assistant\n',
    nextTurn: '<|im_end|>\n<|im_start|>user\n',
  },
  /** ChatML whose answers start with an empty thought. Taken where a family prefers it only: its marker is ChatML's. */
  qwen3: {
    marker: '<|im_start|>',
    system: '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n',
    postfix: '<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n',
    nextTurn: '<|im_end|>\n<|im_start|>user\n',
  },
  gemma: {
    marker: '<start_of_turn>',
    system: '<bos><start_of_turn>user\nYou are a helpful assistant.\n\n',
    postfix: '<end_of_turn>\n<start_of_turn>model\n',
    nextTurn: '<end_of_turn>\n<start_of_turn>user\n',
  },
} as const satisfies Record<string, ChatFormat>

export type ChatFormatName = keyof typeof chatFormats

/** Ends every system prefix. */
export const instruction =
  'Given the context, answer to the following question or request without explanation.\n\n'

/** Ends the system prefix of the data set gsm. */
export const reasoningInstruction = 'Given the context, answer to the following reasoning question.\n\n'

/** Asks for the whole context, or for the part that goes on after the tokens that follow this text. */
export const repeatWhole = '\n\nRepeat the previous context exactly.'
export const repeatPart = '\n\nRepeat the part of the previous context exactly, starting with '
