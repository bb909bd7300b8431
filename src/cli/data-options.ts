import type { Options } from 'yargs'
import { bytesIn } from './options.js'

/** Options of every command that reads data sets. */
export const dataOptions = {
  'max-data-bytes': {
    type: 'string',
    describe:
      'Most memory that the data of a Parquet file may take, as 2GiB (default: 256MiB, or 16 times the file)',
  },
} as const satisfies Record<string, Options>

export function maxDataBytesIn({ maxDataBytes }: { maxDataBytes: string | undefined }): number | undefined {
  return maxDataBytes === undefined ? undefined : bytesIn(maxDataBytes, '--max-data-bytes')
}
