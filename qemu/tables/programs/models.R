# SPDX-License-Identifier: GPL-2.0-only
# What statistics have in memory: data frames, factors, model fits, lists, closures.
set.seed(27)
size <- 60000
frame <- data.frame(age = sample(18:90, size, TRUE), income = exp(rnorm(size, 10, 0.5)),
    region = factor(sample(c("north", "south", "east", "west"), size, TRUE)),
    name = paste0("person", sample(size)), stringsAsFactors = FALSE)
frame$spent <- 0.3 * frame$income + 20 * frame$age + rnorm(size, 0, 500)
fit <- lm(spent ~ age + income + region, frame)
parts <- split(frame, list(frame$region, frame$age))
table_of <- aggregate(spent ~ region + age, frame, mean)
smooth <- loess(spent ~ age, frame[1:2000, ])
nested <- lapply(1:20000, function(n) list(id = n, tags = letters[sample(26, 3)], f = function(x) x + n))
tree <- hclust(dist(as.matrix(frame[1:800, c("age", "income")])))
Sys.sleep(100)
