/**
 * Fields of OpenAI's requests beside those that are followed. A field that would change the answer and cannot be
 * honoured is refused unless it asks for nothing; docs/serve.md lists them all.
 */

const nothing = { enum: [null], description: 'left out: it is not supported' }
const noTools = {
  type: 'array',
  maxItems: 0,
  nullable: true,
  description: 'left out: tools are not supported',
}
const noToolChoice = { enum: ['none', 'auto', null], description: '"none": tools are not supported' }

/** They say how OpenAI runs, bills, caches or files a request; whatever they hold, the answer is the same. */
export const ignored = {
  metadata: {},
  parallel_tool_calls: {},
  prediction: {},
  prompt_cache_key: {},
  prompt_cache_options: {},
  prompt_cache_retention: {},
  safety_identifier: {},
  service_tier: {},
  user: {},
}

export const unsupported = {
  audio: nothing,
  frequency_penalty: { enum: [0, null], description: '0: penalties are not supported' },
  function_call: noToolChoice,
  functions: noTools,
  logit_bias: { type: 'object', maxProperties: 0, nullable: true, description: nothing.description },
  logprobs: { enum: [false, null], description: 'left out: log probabilities are not returned' },
  modalities: {
    type: 'array',
    items: { enum: ['text'], description: '"text", the only kind of answer' },
    nullable: true,
    description: '["text"]',
  },
  moderation: nothing,
  n: { enum: [1, null], description: '1: a request gets one answer' },
  presence_penalty: { enum: [0, null], description: '0: penalties are not supported' },
  reasoning_effort: { enum: ['none', null], description: '"none": reasoning is not supported' },
  response_format: {
    type: 'object',
    nullable: true,
    description: '{ type: "text" }',
    properties: { type: { enum: ['text'], description: '"text", the only format' } },
  },
  store: { enum: [false, null], description: 'false: no answer is stored' },
  tool_choice: noToolChoice,
  tools: noTools,
  top_logprobs: { enum: [0, null], description: 'left out: log probabilities are not returned' },
  verbosity: { enum: ['medium', null], description: 'left out: it is not supported' },
  web_search_options: nothing,
  // Of other servers.
  min_p: { enum: [0, null], description: '0: it is not supported' },
  repetition_penalty: { enum: [1, null], description: '1: penalties are not supported' },
}

/** What an answer of ours or of OpenAI's holds besides text goes back with the conversation. */
export const unsupportedInMessages = {
  annotations: {},
  audio: nothing,
  function_call: nothing,
  name: { enum: [null], description: 'left out: names of speakers are not supported' },
  refusal: nothing,
  tool_calls: noTools,
}

/** What a server is started with, and no request can change. */
export const evictionFields: readonly string[] = [
  'compression_ratio',
  'eviction',
  'level',
  'ratio',
  'recent',
  'rule',
  'scores',
  'selection',
  'sink',
  'sparsity',
  'sweep',
]
