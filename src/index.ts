/**
 * headzip: which attention heads of a language model need their long-context KV cache, and eviction of the rest.
 * The README's quick start uses what is exported here.
 * Functions check what they are given before they do anything: a TypeError for another kind of value, a RangeError for a
 * value that cannot be, each one sentence that names the parameter, with the code HEADZIP_PARAMETER.
 */

export type { NeedleOptions } from './data/needle.js'
export type { Sample } from './data/sample.js'
export { type FetchDatasetFile, type ReadOptions, readSample, readSamples } from './data/samples.js'
export { knownNames as dataSetNames } from './data/sets.js'
export { type Addon, loadAddon, type NativeCacheInfo } from './engine/binding.js'
export type { JobOptions, Progress } from './engine/job.js'
export type { Device, EngineOptions } from './engine/open.js'
export {
  type AttentionSpec,
  type DenseSpec,
  type EngineSpec,
  type LayerSpec,
  type MoeSpec,
  scoredLayers,
} from './engine/spec.js'
export { version } from './engine/version.js'
export { type ErrorCode, InputError, isUserError } from './errors.js'
export { type EvaluateOptions, type EvaluateSummary, evaluate } from './eval/evaluate.js'
export { mergeResultFolders } from './eval/merge-results.js'
export { type Profile, type ProfileOptions, profileSample } from './eval/profile.js'
export type { ResultRow, SampleResult } from './eval/record.js'
export { readNamedScores } from './eval/score-choice.js'
export { readResults } from './eval/store.js'
export { type SummaryRow, summarize } from './eval/summary.js'
export { formatSummary } from './eval/table.js'
export { writeResultFiles } from './eval/write-results.js'
export { detectFormat, importScores, readAnyScores, type ScoreFormat } from './formats/detect.js'
export { exportDuo, importDuo } from './formats/duo.js'
export type { Exported, ImportOptions } from './formats/foreign.js'
export { type ExportOptions, exportScores, type FormatName, formatNames } from './formats/formats.js'
export { exportKvzip, importKvzip } from './formats/kvzip-pt.js'
export { type DatasetFileOptions, fetchDatasetFile } from './hub/fetch-dataset.js'
export type { HubOptions } from './hub/fetch-model.js'
export { type LocatedModel, type LocateOptions, locateModel } from './hub/locate.js'
export type { NamedProxy, ProxySettings } from './hub/proxy.js'
export type { HubWait } from './hub/retry.js'
export { type CachedModel, scanModels } from './hub/scan.js'
export { type HubSettings, hubSettings } from './hub/settings.js'
export { resolveShortName, type ShortName, shortNames } from './hub/short-names.js'
export { shortNameTable } from './hub/tables.js'
export type { DownloadProgress } from './hub/transfers.js'
export { budgetOfCache } from './inference/cache-budget.js'
export { Conversation } from './inference/conversation.js'
export type {
  BatchOptions,
  BatchQuery,
  FinishReason,
  GenerateOptions,
  Generation,
} from './inference/generate.js'
export { type CacheKind, KvCache, type PruneOptions, type PruneResult } from './inference/kv-cache.js'
export { type Level, type LevelOptions, levels, type PairScores } from './inference/levels.js'
export {
  type AnswerLogProbs,
  type LoadOptions,
  loadModel,
  type Means,
  type Model,
  type ScoreChunksParams,
  type ScoredPairs,
  type ScorePairsParams,
} from './inference/model.js'
export type { PrefillOptions } from './inference/prefill.js'
export type { SamplingOptions } from './inference/sampling.js'
export type { StreamOptions } from './inference/stream.js'
export { describeModel, type ModelDescription } from './model/describe.js'
export type { Family, ModelPlan, WeightName } from './model/families/family.js'
export { families } from './model/families/index.js'
export type { Prompts } from './model/prompts.js'
export { reconstructionInputs } from './model/reconstruction.js'
export type { TokenizerLimits } from './model/tokenizer/limits.js'
export type { DecodeOptions, EncodeOptions, Tokenizer } from './model/tokenizer.js'
export { differenceMap } from './report/difference.js'
export { heatmap } from './report/heatmap.js'
export { reportPage } from './report/page.js'
export { panelsOf } from './report/panels.js'
export { pictures } from './report/pictures.js'
export { renderPng } from './report/png.js'
export { layerProfile } from './report/profile.js'
export { writeReport } from './report/report.js'
export { agreementScatter } from './report/scatter.js'
export { stabilityCurve } from './report/stability.js'
export { budgetTable, provenanceBlock } from './report/tables.js'
export { readScores, writeScores } from './scores/arrow.js'
export { type Budget, type BudgetOptions, budget, budgetOf, formatBudget } from './scores/budget.js'
export { type Comparison, compareScores, kendall, spearman, topShareOverlap } from './scores/compare.js'
export type { HeadScores, PairMethod, Provenance, ScoreMethod, Source, Sweep } from './scores/head-scores.js'
export { mergeScores } from './scores/merge.js'
export { randomHeads, type Selection, type SelectionRule, selectHeads, selectPairs } from './scores/select.js'
export {
  type Band,
  chunkParts,
  confidenceBands,
  convergence,
  mergeParts,
  type Part,
  type Step,
} from './scores/stability.js'
export { duoEstimate, type EstimateShape, estimateLength, type LayerMeans } from './scoring/duo-estimate.js'
export { type ScoredHeads, type ScoreOptions, scoreHeads } from './scoring/score.js'
export { type StoppedScores, scoreUntilStable, type UntilStable } from './scoring/until-stable.js'
export type { ServeOptions } from './serve/options.js'
export { type RunningServer, serve } from './serve/server.js'
export { parseShard, type Shard, shardFromEnvironment } from './shard.js'
export { type VerifyReport, verifyModel } from './verify/verify.js'
