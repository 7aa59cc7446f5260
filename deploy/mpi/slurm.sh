#!/usr/bin/env bash
# A Slurm batch script for one job:
#
#   sbatch --ntasks 5 slurm.sh JOB.yaml [flags of `waferctl mpi-run`]
#
# The number of tasks is 1 + MemoryX + SwarmX + wafers; with another one the job is refused in one
# line that names the right one. Requeued or submitted again, it goes on from its last checkpoint.
# The run folder, the data and the checkpoints must be on a file system that all hosts have. On several
# hosts add --insecure, if nobody else is on the network between them.
#SBATCH --job-name=waferstream
#SBATCH --ntasks=5
#SBATCH --cpus-per-task=4
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail
job=${1:?usage: sbatch --ntasks N slurm.sh JOB.yaml [flags]}
shift
exec mpirun -n "$SLURM_NTASKS" "${WAFERCTL:-waferctl}" mpi-run -f "$job" "$@"
