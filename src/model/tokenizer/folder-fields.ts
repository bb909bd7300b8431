import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { readBytes, readJson } from '../json-file.js'
import type { TokenizerFields } from './fields.js'

/** @throws InputError when tokenizer.json or tokenizer_config.json is missing or no JSON object */
export function folderFields(folder: string): TokenizerFields {
  const file = join(folder, 'tokenizer.json')
  const { fields } = readJson(file)
  const configFile = join(folder, 'tokenizer_config.json')
  const { fields: config } = readJson(configFile)
  // Newer models keep their chat template in a file of its own.
  const template = join(folder, 'chat_template.jinja')
  if (!existsSync(template)) return { file, fields, config, templateFile: configFile }
  const source = readBytes(template).toString('utf8')
  return { file, fields, config: { ...config, chat_template: source }, templateFile: template }
}
