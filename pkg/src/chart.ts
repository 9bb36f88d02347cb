/**
 * A chart of how fast totals grow: publications, deliveries, work done.
 *
 * @packageDocumentation
 */

export { type SpokenSeries, ThroughputChart, type ThroughputChartOptions } from './chart/throughput-chart.js';
