import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, it } from 'vitest'
import {
  folders,
  identifiersOfCpp,
  identifiersOfTypeScript,
  type Language,
  type Names,
  otherFolders,
  readNames,
  wordsOf,
} from './glossary.js'

/** How a retired word is told from the same word in another sense. */
interface Retired {
  /** Its cell in the glossary. */
  retired: string
  /** In these languages no name has the word in it, on its own or between others: `place`, `placeOf`, `kMaxPlace`. */
  words?: {
    in: readonly Language[]
    are: readonly string[]
    but?: readonly string[]
    /** Tests may: those of conversations do. */
    notInTests?: true
  }
  /** Nor is any name one of these. */
  names?: readonly string[]
  /** Why nothing is held to it. */
  unchecked?: string
}

const everywhere = ['TypeScript', 'C++', 'CUDA'] as const
const native = ['C++', 'CUDA'] as const

/** In the order of the glossary's second table. */
const retired: readonly Retired[] = [
  {
    retired: 'turn',
    words: { in: native, are: ['turn', 'turns', 'turned'], but: ['turn_start'], notInTests: true },
    names: ['turned'],
  },
  { retired: 'place', words: { in: everywhere, are: ['place', 'places', 'placed'], but: ['in_place'] } },
  { retired: 'piece', names: ['Piece', 'KeyPiece', 'RowPiece', 'pieces_of'] },
  { retired: 'sums', words: { in: ['CUDA'], are: ['sums'] }, names: ['log_sums', 'LogSums'] },
  { retired: 'head', unchecked: 'an attention head is one' },
  {
    retired: 'job',
    words: { in: ['CUDA'], are: ['job', 'jobs'] },
    names: [
      'SweepJob',
      'AttentionJob',
      'GenerateJob',
      'NativeGenerateJob',
      'NativeMeansJob',
      'ScorePairsJob',
    ],
  },
  { retired: 'sink', names: ['sinkIds', 'sink_ids', 'reasoningSinkIds'] },
  { retired: 'copy engine', names: ['CopyEngine', 'copy_engine'] },
  { retired: 'first cache, second cache', names: ['first_cache', 'second_cache'] },
  {
    retired: 'processor',
    words: { in: native, are: ['processors', 'processor'], but: ['cudaDevAttrMultiProcessorCount'] },
  },
  { retired: 'resident', words: { in: native, are: ['residents'] } },
  { retired: 'product', words: { in: native, are: ['products'] } },
  { retired: 'power', words: { in: native, are: ['power', 'powers'] } },
  { retired: 'peak, total', names: ['row_peak', 'row_total', 'peaks', 'totals'] },
  { retired: 'factor', unchecked: 'a factor on logits or of RoPE is one' },
  { retired: 'join', words: { in: native, are: ['joins', 'joined'] } },
  { retired: 'hide', words: { in: native, are: ['hide', 'hides'] } },
  { retired: 'widen', words: { in: everywhere, are: ['widen', 'widens', 'widened'] } },
  { retired: 'mixture', words: { in: everywhere, are: ['mixture', 'mixtures'] } },
  { retired: 'span', names: ['KeySpan', 'DecodeSpan', 'kMostSpans', 'span_end', 'span_count'] },
  { retired: 'span view', names: ['SpanView'] },
  { retired: 'sight', words: { in: everywhere, are: ['sight', 'sights'] } },
  { retired: 'best', names: ['Best', 'BestRunning'] },
  { retired: 'manner', words: { in: everywhere, are: ['manner', 'manners'] } },
  {
    retired: 'note',
    words: { in: native, are: ['note', 'notes'] },
    names: ['Note', 'OwnNote', 'CacheNotes'],
  },
  { retired: 'need, want', names: ['Need', 'Want'] },
  { retired: 'settle', words: { in: ['TypeScript', 'CUDA'], are: ['settle', 'settles'] } },
  { retired: 'pace', words: { in: everywhere, are: ['pace', 'paces'] } },
  { retired: 'admit', words: { in: everywhere, are: ['admit', 'admits'] } },
  { retired: 'bring', words: { in: everywhere, are: ['bring', 'brings'] } },
  { retired: 'repeat', unchecked: 'a context is repeated' },
]

const glossary = readFileSync('docs/glossary.md', 'utf8')
const [inForce, outOfUse] = glossary.split('## Retired words') as [string, string]

/** Cells of the tables' rows, without headings. */
function rowsOf(text: string): string[][] {
  const rows = text.split('\n').filter((line) => line.startsWith('| '))
  const cells = rows.map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  )
  return cells.filter(([first]) => first !== 'term' && first !== 'retired')
}

const names = {} as Record<Language, Names>
const otherNames = {} as Record<Language, Names>
beforeAll(() => {
  for (const language of everywhere) {
    names[language] = readNames(language, folders[language])
    otherNames[language] = readNames(language, otherFolders[language])
  }
})

describe('names are read', () => {
  it('from TypeScript and C++, and not from what is no code', () => {
    const typeScript = 'const { a: bC } = d.e // comment\ntype F = "text" | G'
    expect([...identifiersOfTypeScript(typeScript)].sort()).toEqual(['F', 'G', 'a', 'bC', 'd', 'e'])
    const cpp = 'int a_b = f("text \\" more", \'\\\'\'); // comment\n/* more\nof it */ Cd::e();'
    expect([...identifiersOfCpp(cpp)].sort()).toEqual(['Cd', 'a_b', 'e', 'f', 'int'])
  })

  it('word by word', () => {
    expect(['kMaxKvSegments', 'turn_start', 'L2Cache', 'KVLayer', 'own-note'].map(wordsOf)).toEqual([
      ['k', 'max', 'kv', 'segments'],
      ['turn', 'start'],
      ['l2', 'cache'],
      ['kv', 'layer'],
      ['own', 'note'],
    ])
  })
})

describe('docs/glossary.md', () => {
  it('has no name that the sources do not have', () => {
    const missing = rowsOf(inForce).flatMap(([, ...cells]) =>
      everywhere.flatMap((language, column) => {
        const named = [...cells[column]!.matchAll(/`([^`]+)`/g)].flatMap(([, name]) => name!.split('::'))
        return named.filter((name) => !names[language].has(name)).map((name) => `${language}: ${name}`)
      }),
    )
    expect(missing).toEqual([])
  })

  it('has a name for every term, and each term once', () => {
    const rows = rowsOf(inForce)
    expect(rows.length).toBeGreaterThan(40)
    expect(rows.filter((row) => row.length !== 5 || !row.slice(1, 4).join().includes('`'))).toEqual([])
    const terms = rows.map(([term]) => term)
    expect(terms.filter((term, i) => terms.indexOf(term) !== i)).toEqual([])
  })

  it('retires the words that this test knows', () => {
    expect(rowsOf(outOfUse).map(([word]) => word)).toEqual(retired.map((each) => each.retired))
  })
})

describe('no name goes back to a retired word:', () => {
  it.each(retired.filter(({ unchecked }) => !unchecked))('$retired', ({ words, names: exact }) => {
    const isRetired = (name: string, language: Language, inTests: boolean): boolean => {
      if (exact?.includes(name)) return true
      if (!words?.in.includes(language) || words.but?.includes(name) || (inTests && words.notInTests))
        return false
      return wordsOf(name).some((word) => words.are.includes(word))
    }
    const found = everywhere.flatMap((language) => [
      ...[...names[language]].filter(([name]) => isRetired(name, language, false)),
      ...[...otherNames[language]].filter(([name]) => isRetired(name, language, true)),
    ])
    expect(found.map(([name, files]) => `${name} (${files.join(', ')})`)).toEqual([])
  })
})
