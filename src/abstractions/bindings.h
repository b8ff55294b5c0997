/* SPDX-License-Identifier: GPL-2.0-only */
#include <linux/atomic.h>
#include <linux/blkdev.h>
#include <linux/lz4.h>
#include <linux/lzo.h>
#include <linux/part_stat.h>
#include <linux/zlib.h>
#include <linux/zsmalloc.h>
#include <linux/zstd.h>

/* bindgen sees constants, but no macros that expand to casts. */
const blk_features_t ZRAM_BLK_FEATURES = BLK_FEAT_STABLE_WRITES | BLK_FEAT_SYNCHRONOUS;
const blk_status_t ZRAM_STS_IOERR = BLK_STS_IOERR;

/* No I/O: the allocation may be part of it. By itself the kernel would never refuse
 * a single page, but look for one without end; here the caller decides who waits. */
const gfp_t ZRAM_GFP_TABLE = GFP_NOIO | __GFP_RETRY_MAYFAIL | __GFP_NOWARN | __GFP_ZERO;
const gfp_t ZRAM_GFP_SOFT = GFP_KERNEL | __GFP_RETRY_MAYFAIL | __GFP_NOWARN;
const gfp_t ZRAM_GFP_OBJECT = GFP_NOIO | __GFP_RETRY_MAYFAIL | __GFP_NOWARN |
			      __GFP_HIGHMEM | __GFP_MOVABLE;
const gfp_t ZRAM_GFP_OBJECT_NOWAIT = GFP_NOWAIT | __GFP_NOWARN | __GFP_HIGHMEM | __GFP_MOVABLE;

/* For what may be large and is allocated before there is I/O: refused rather than somebody killed for it. */
const gfp_t ZRAM_GFP_SETUP = GFP_KERNEL | __GFP_RETRY_MAYFAIL | __GFP_NOWARN;
