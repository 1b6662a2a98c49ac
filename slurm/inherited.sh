# Read by the templates: what a job has from Slurm, and what it only inherited.
#
# A job that is submitted from inside another one (an array task that calls sbatch, a shell of salloc) has the variables of
# both: Slurm overwrites those that it sets, and leaves an array's number, restarts or CPUs of the outer job where the job
# itself has none. Slurm's own record of the job decides. Without a job, or without scontrol, all variables count.

drop_inherited() {
  [ -n "${SLURM_JOB_ID:-}" ] && command -v scontrol >/dev/null || return 0
  local about= attempt
  for attempt in 1 2 3 4 5; do # an array's first job stands for all of its tasks
    about=$(scontrol show job --oneliner "$SLURM_JOB_ID" | grep "^JobId=$SLURM_JOB_ID ") && break
    sleep $((attempt * 2))
  done
  if [ -z "$about" ]; then
    echo "error: Slurm does not say what job $SLURM_JOB_ID is; submit it again" >&2
    exit 1
  fi
  [[ $about == *" ArrayTaskId=${SLURM_ARRAY_TASK_ID:-none} "* ]] ||
    unset SLURM_ARRAY_JOB_ID SLURM_ARRAY_TASK_ID SLURM_ARRAY_TASK_COUNT SLURM_ARRAY_TASK_MIN SLURM_ARRAY_TASK_MAX \
      SLURM_ARRAY_TASK_STEP
  [[ $about == *" Restarts=${SLURM_RESTART_COUNT:-none} "* ]] || unset SLURM_RESTART_COUNT
  # Of a job that asked for none, Slurm says 1.
  [[ ${SLURM_CPUS_PER_TASK:-1} != 1 && $about == *" CPUs/Task=$SLURM_CPUS_PER_TASK "* ]] || unset SLURM_CPUS_PER_TASK
}
drop_inherited
