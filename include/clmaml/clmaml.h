/* clMAML: full, second-order meta-learning on any OpenCL device. This header includes all the others. */
#ifndef CLMAML_CLMAML_H
#define CLMAML_CLMAML_H

#include "binding.h"
#include "checkpoint.h"
#include "comm.h"
#include "data.h"
#include "dataset.h"
#include "device.h"
#include "environment.h"
#include "export.h"
#include "graph.h"
#include "learner.h"
#include "meta.h"
#include "model.h"
#include "optim.h"
#include "params.h"
#include "policy.h"
#include "program.h"
#include "status.h"
#include "task.h"
#include "train.h"
#include "tune.h"

#endif
