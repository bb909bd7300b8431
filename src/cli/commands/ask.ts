import type { Argv } from 'yargs'
import { InputError } from '../../errors.js'
import { checkWritable } from '../../files/write.js'
import { answeringOf, answerOptions } from '../ask/answering.js'
import { answerAll, answersAsText, asJson, cachesAsText } from '../ask/answers.js'
import { readContext, restoreContext } from '../ask/caches.js'
import { chat } from '../ask/chat.js'
import { checkChoice } from '../ask/choice.js'
import { contextOptions, contextOptionsIn, encodingOption, readContextText } from '../context-options.js'
import { evictionOptions, readEviction } from '../eviction.js'
import { interruptSignal } from '../interrupt.js'
import { engineOptions, forceOption, type GlobalOptions, modelDescription, withModel } from '../options.js'
import { printContent, printJson, printLine, printText } from '../output.js'
import { withProgress } from '../progress.js'

export function ask(cli: Argv<GlobalOptions>): Argv<GlobalOptions> {
  return cli.command(
    'ask <model>',
    'Read a context once, evict what it does not need, and answer questions',
    (args) =>
      args
        .positional('model', { type: 'string', demandOption: true, describe: modelDescription })
        .options({
          context: { type: 'string', describe: 'File with the context; - reads standard input' },
          'save-cache': {
            type: 'string',
            describe: 'Write what is kept of the context to this file, for --cache and headzip serve --cache',
          },
          cache: {
            type: 'string',
            describe: 'File that --save-cache wrote, in place of --context: nothing is read again',
          },
          query: { type: 'string', array: true, describe: 'Question; may be given several times' },
          interactive: { type: 'boolean', default: false, describe: 'Chat over the context' },
          stream: { type: 'boolean', default: false, describe: 'Print each answer as it comes' },
          full: { type: 'boolean', default: false, describe: 'Evict nothing' },
          compare: { type: 'boolean', default: false, describe: 'Answer from the full cache, too' },
          ...encodingOption,
          ...contextOptions,
          ...evictionOptions,
          ...answerOptions,
          ...engineOptions,
          ...forceOption,
        })
        .example(
          '$0 ask nano --context notes.txt --query "Where do I live?" --scores head_scores/nano/merged.arrow',
          'With 60% of the KV heads',
        )
        .example(
          '$0 ask nano --context notes.txt --query "Where?" --level pair --ratio 0.3 --compare',
          'With 30% of the pairs, beside the full cache',
        )
        .example('$0 ask nano --context notes.txt --full --interactive', 'A chat')
        .example(
          '$0 ask nano --context notes.txt --level pair --ratio 0.3 --save-cache notes.kv',
          'Read and compressed once ...',
        )
        .example('$0 ask nano --cache notes.kv --query "Where?"', '... and asked at any time'),
    async (args) => {
      const { json, query = [], cache, saveCache, force } = args
      checkChoice({ ...args, query })
      if (saveCache === '-')
        throw new InputError('--save-cache must name a file: answers go to standard output')
      if (saveCache !== undefined) await checkWritable(saveCache, { force })
      const eviction = args.full || cache !== undefined ? undefined : await readEviction(args)
      const fitting = contextOptionsIn(args)
      const context = args.context === undefined ? '' : await readContextText(args.context, args.encoding)
      await withModel(args.model, args, async (model) => {
        const job = { signal: interruptSignal }
        const caches = await withProgress('reading the context', args.progress, async (onProgress) =>
          cache === undefined
            ? readContext(model, context, eviction, args.compare, { ...job, ...fitting, onProgress })
            : [await restoreContext(model, cache, { ...job, onProgress })],
        )
        if (saveCache !== undefined)
          await withProgress('saving the cache', args.progress, (onProgress) =>
            caches[0]!.kv.save(saveCache, { ...job, force, onProgress }),
          )
        const answering = answeringOf(args)
        const show = args.stream ? printContent : undefined
        // Text that comes as it is made shows life enough, and a bar would stand in its way.
        const progress = show ? 'none' : args.progress
        const answers = await withProgress('answering', progress, (onProgress) =>
          answerAll(model, caches, query, answering, show, onProgress),
        )
        if (json) {
          const { description, arithmetic } = model
          const saved = saveCache === undefined ? {} : { saved: saveCache }
          return printJson({ model: description.id, arithmetic, ...asJson(caches, answers), ...saved })
        }
        if (!show && answers.length > 0) printContent(`${answersAsText(caches, answers)}\n`)
        if (answers.length > 0) printLine()
        if (answers.length > 0 || saveCache !== undefined) printText(cachesAsText(caches))
        if (saveCache !== undefined) {
          printLine()
          printLine(saveCache)
        }
        if (args.interactive) await chat(model, caches[0]!, answering)
      })
    },
  )
}
