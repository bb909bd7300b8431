/** Models that come with the package. */

import { fileURLToPath } from 'node:url'

export const embeddedModels: readonly string[] = ['nano']

export function embeddedFolder(name: string): string {
  // two levels up from src/model as from dist/model
  return fileURLToPath(new URL(`../../models/${name}`, import.meta.url))
}
