/** What the tests' hub holds: the sharded fixture model, in two revisions, and a data set. */

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { HubSettings } from '../../src/hub/settings.js'
import { scratchFolder } from '../scratch.js'
import type { FakeHub, RepoFiles } from './server.js'

const fixture = fileURLToPath(new URL('../fixtures/models/llama-sharded', import.meta.url))

function filesOf(folder: string): Record<string, Buffer> {
  return Object.fromEntries(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name))]))
}

/** What a download is to bring, and beside it what it is to leave alone. */
export const modelFiles: Record<string, Buffer> = {
  ...filesOf(fixture),
  'README.md': Buffer.from('# A model'),
  'pytorch_model.bin': Buffer.from('a pickle'),
  'consolidated.safetensors': Buffer.alloc(100),
  'tokenizer.json': Buffer.from('{"version": "1.0"}'),
  'tokenizer_config.json': Buffer.from('{}'),
  'original/params.json': Buffer.from('{}'),
}

/** All that the model `tests/sharded` needs. */
export const neededFiles = [
  'config.json',
  'model-00001-of-00003.safetensors',
  'model-00002-of-00003.safetensors',
  'model-00003-of-00003.safetensors',
  'model.safetensors.index.json',
  'tokenizer.json',
  'tokenizer_config.json',
]

export const shard = 'model-00002-of-00003.safetensors'

export const model: RepoFiles = {
  name: 'tests/sharded',
  branches: {
    main: modelFiles,
    'refs/pr/1': { ...modelFiles, 'tokenizer_config.json': Buffer.from('{"changed": true}') },
  },
}

export const gguf: RepoFiles = {
  name: 'tests/quantised-GGUF',
  branches: {
    main: {
      'README.md': Buffer.from('# Quantised'),
      'tiny-Q4_K_M.gguf': Buffer.from('GGUF four bits'),
      'tiny-Q8_0.gguf': Buffer.from('GGUF eight bits'),
      'bf16/tiny-BF16.gguf': Buffer.from('GGUF sixteen bits'),
    },
  },
}

export const split: RepoFiles = {
  name: 'tests/split-GGUF',
  branches: {
    main: {
      'Q8_0/big-00001-of-00002.gguf': Buffer.from('GGUF the first half'),
      'Q8_0/big-00002-of-00002.gguf': Buffer.from('GGUF the other half'),
      'lost-00001-of-00002.gguf': Buffer.from('GGUF alone'),
    },
  },
}

export const pickled: RepoFiles = {
  name: 'tests/pickled',
  branches: {
    main: { 'config.json': modelFiles['config.json']!, 'pytorch_model.bin': Buffer.from('a pickle') },
  },
}

export const unknown: RepoFiles = {
  name: 'tests/unknown',
  branches: { main: { ...modelFiles, 'config.json': Buffer.from('{"architectures": ["GPT2LMHeadModel"]}') } },
}

export const secret: RepoFiles = { ...model, name: 'tests/secret', token: 'hf_right' }

export const dataset: RepoFiles = {
  type: 'dataset',
  name: 'tests/data',
  branches: {
    main: { 'data/few rows.parquet': Buffer.from('PAR1 not really PAR1'), 'README.md': Buffer.from('') },
  },
}

export const everything = [model, gguf, split, pickled, unknown, secret, dataset]

/** Settings of an empty cache, and of no patience. */
export function settingsFor(hub: FakeHub, changes: Partial<HubSettings> = {}): HubSettings {
  return {
    endpoint: hub.endpoint,
    cacheFolder: join(scratchFolder(), 'hub'),
    token: undefined,
    offline: false,
    timeoutSeconds: 5,
    backoffSeconds: 0.01,
    patienceSeconds: 300,
    ...changes,
  }
}
