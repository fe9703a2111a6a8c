/** millrace.h: the whole public contract. */
#ifndef MILLRACE_H
#define MILLRACE_H

#include "millrace/operator.h"
#include "millrace/source.h"

#endif
