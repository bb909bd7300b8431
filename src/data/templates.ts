/** How each data set asks its questions and how long answers may get, as KVzip publishes (data/wrapper.py, utils/func.py). */

/** `plain` asks as the data set words it; `qa` puts "Q: " before it; `reason` asks for "The answer is". */
export type Template = 'plain' | 'qa' | 'reason'

/** New tokens an answer may have. Names of single sets must match whole, the others hold the part. */
export function generationLength(data: string): number {
  if (data === 'needle' || data.includes('_mf')) return 32
  if (data === 'squad' || data.includes('summary')) return 256
  if (data.includes('gsm') || data.includes('repoqa')) return 512
  return 96
}

/** The published sets ask with "Q: "; own files and the samples that come with the package ask as they are written. */
export function templateOf(data: string): Template {
  if (data === 'gsm') return 'reason'
  return data === 'squad' || data === 'needle' || data.startsWith('scbench_') ? 'qa' : 'plain'
}

export function queryText(template: Template, question: string): string {
  switch (template) {
    case 'plain':
      return question
    case 'qa':
      return `Q: ${question}`
    case 'reason':
      return (
        'Reason and answer the question. ' +
        `You must say the answer in the last sentence beginning with 'The answer is'. Q: ${question}`
      )
  }
}
